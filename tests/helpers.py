"""Small networks of every kind that a recipe allows."""

import torch
from hypothesis import strategies as st

from auricle.training.network import DeepSpeech2
from auricle.training.recipe import NetworkConfig

torch.set_num_threads(1)  # networks as small as these only wait for one another's threads

MEL, TOKENS = 13, 7


def configs(smallest: int = 2) -> st.SearchStrategy[NetworkConfig]:
    """Networks whose layers are at least `smallest` wide.

    LayerNorm over two values divides by almost nothing where they are alike, and makes float32's last digit visible. So
    it does after a kernel of one number, which may be next to nothing beside its bias.
    """
    strides = st.sampled_from([(1, 1), (2, 1), (3, 1), (4, 1), (8, 1), (2, 2), (4, 2), (6, 2), (8, 2)])
    return strides.flatmap(lambda pair: _with_strides(*pair, smallest))


def _with_strides(stride_time: int, outputs: int, smallest: int) -> st.SearchStrategy[NetworkConfig]:
    return st.builds(
        NetworkConfig,
        channels=st.integers(1, 4),
        kernel_time=st.sampled_from([1, 3, 5, 11]),
        kernel_mel=st.sampled_from([3, 5]),
        stride_time=st.just(stride_time),
        outputs=st.just(outputs),
        stride_mel=st.integers(1, 4 if smallest < 7 else 2),
        residual_layers=st.integers(0, 2),
        gru_layers=st.integers(1, 3),
        gru_hidden=st.integers(smallest, 2 * smallest + 4),
        gru_input=st.integers(smallest, 4 * smallest + 8),
        gru_residual=st.booleans(),
        gru_norm=st.sampled_from(["pre", "none"]),
        gru_gelu=st.booleans(),
        classifier_hidden=st.sampled_from([0, smallest + 4]),
    )


def made(config: NetworkConfig, seed: int = 0, *, mel: int = MEL, tokens: int = TOKENS, phones: int = 0) -> DeepSpeech2:
    """A network in which nothing is zero at the start: biases and norms are random too."""
    torch.manual_seed(seed)
    network = DeepSpeech2(config, mel, tokens, *([phones] if phones else [])).eval()
    for parameter in network.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return network
