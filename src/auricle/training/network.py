"""The Deep Speech 2 network (Amodei et al., 2015) in the form of the AssemblyAI tutorial that auricle grew from.

    features [B, T, mel]
      strided convolution            [B, C, T', mel']     T' = ceil(T / stride_time)
      N residual convolution layers  [B, C, T', mel']     LayerNorm over bands, GELU, dropout, 3 x 3, twice
      projection                     [T', B, gru_input]
      N bidirectional GRU layers     [T', B, 2 * hidden]
      classifier                     [B, T'', tokens]     natural-log probabilities, T'' = ceil(T / stride)

Where there are phones, the tokens are those of the letters and, after them, those of the phones: two distributions.

The classifier may give two frames of characters for each frame of the layers before it. The GRU, where nearly all of
the time goes, then takes half as many steps, and CTC still has enough frames for quick speech. It is the sub-pixel
convolution of Shi et al., 2016, along time.

Padding never changes a result: every frame past a clip's end is zero before each convolution, just as the convolution's
own padding is, and the GRU reads each direction within the clip's length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from auricle.training.gru import BiGRU, products, valid
from auricle.training.recipe import NetworkConfig


class ResidualConvolution(nn.Module):
    """Two convolutions of 3 x 3, each behind LayerNorm over the bands, GELU and dropout, added to their input."""

    def __init__(self, channels: int, bands: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(bands) for _ in range(2))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, C, T, bands], mask [B, 1, T, 1]; zero in, zero out past each end."""
        residual = x
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            x = self.dropout(nn.functional.gelu(norm(x)))
            x = convolution(x * mask)
        return (x + residual) * mask


class LockedDropout(nn.Dropout):
    """Dropout that draws once per clip and unit, and holds the draw over all frames of [T, B, width]."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop; without effect in evaluation, as nn.Dropout."""
        return x * nn.functional.dropout(x.new_ones(1, *x.shape[1:]), self.p, self.training)


class RecurrentLayer(nn.Module):
    """LayerNorm, GELU, a bidirectional GRU, dropout; added to its input where the recipe asks and the widths agree."""

    def __init__(self, config: NetworkConfig, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if config.gru_norm == "pre" else None
        self.gelu = config.gru_gelu
        self.gru = BiGRU(width, config.gru_hidden)
        dropout = LockedDropout if config.gru_dropout_locked else nn.Dropout
        self.dropout = dropout(config.gru_dropout)
        self.residual = config.gru_residual and width == 2 * config.gru_hidden

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """x [T, B, width] to [T, B, 2 * hidden]."""
        y = x if self.norm is None else self.norm(x)
        y = nn.functional.gelu(y) if self.gelu else y
        y = self.dropout(self.gru(y, lengths))
        out: Tensor = x + y if self.residual else y
        return out


class DeepSpeech2(nn.Module):
    """The whole network: normalised log-mel features to CTC log-probabilities."""

    def __init__(self, config: NetworkConfig, mel: int, tokens: int, phones: int = 0) -> None:
        """`tokens` are those of the letters, `phones` those of the phones, if there are any; each with its blank."""
        super().__init__()
        self.config, self.mel = config, mel
        self.alphabets = (tokens, phones) if phones else (tokens,)
        self.tokens = tokens = tokens + phones
        bands = -(-mel // config.stride_mel)
        kernel = (config.kernel_time, config.kernel_mel)
        self.convolution = nn.Conv2d(
            1,
            config.channels,
            kernel,
            stride=(config.stride_time, config.stride_mel),
            padding=(kernel[0] // 2, kernel[1] // 2),
        )
        self.residuals = nn.ModuleList(
            ResidualConvolution(config.channels, bands, config.dropout) for _ in range(config.residual_layers)
        )
        self.projection = nn.Linear(config.channels * bands, config.gru_input)
        widths = [config.gru_input, *[2 * config.gru_hidden] * (config.gru_layers - 1)]
        self.recurrent = nn.ModuleList(RecurrentLayer(config, width) for width in widths)
        self.norm = nn.LayerNorm(2 * config.gru_hidden) if config.gru_residual else None
        width = 2 * config.gru_hidden
        self.classifier = nn.ModuleList()
        if config.classifier_hidden:
            self.classifier.append(nn.Linear(width, config.classifier_hidden))
            width = config.classifier_hidden
        self.classifier.append(nn.Linear(width, config.outputs * tokens))
        self.dropout = nn.Dropout(config.dropout)
        width = 2 * config.gru_hidden
        self.auxiliary = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.outputs * tokens))
        if not config.auxiliary_layer:
            self.auxiliary = nn.Sequential()

    def out_lengths(self, lengths: Tensor) -> Tensor:
        """Return the frames that leave the network for the frames that enter: ceil(length / stride)."""
        return _shortened(lengths, self.config.stride)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """features [B, T, mel] and lengths [B] in frames, to log-probabilities [B, T', tokens] and lengths [B]."""
        log_probs, _, lengths = self.both(features, lengths)
        return log_probs, lengths

    def both(self, features: Tensor, lengths: Tensor, *, apart: bool = False) -> tuple[Tensor, Tensor | None, Tensor]:
        """As `forward`, with the second classifier's log-probabilities between, or None where there is none.

        With `apart`, what the second classifier learns moves nothing below it.
        """
        features = features * valid(lengths, features.shape[1]).T.unsqueeze(-1)
        out_lengths, lengths = self.out_lengths(lengths), _shortened(lengths, self.config.stride_time)
        frames = -(-features.shape[1] // self.config.stride)
        quick = self.training and features.dtype == torch.float32 and products() == torch.bfloat16
        with torch.autocast("cpu", torch.bfloat16, enabled=quick):
            x = self.front_end(features, lengths)
        early = None
        for number, layer in enumerate(self.recurrent, 1):
            x = layer(x, lengths)
            if number == self.config.auxiliary_layer and self.training:
                early = self._log_probs(self.auxiliary(x.detach() if apart else x), frames)
        if self.norm is not None:
            x = self.norm(x)
        *hidden, last = self.classifier
        for linear in hidden:
            x = self.dropout(nn.functional.gelu(linear(x)))
        return self._log_probs(last(x), frames), early, out_lengths

    def front_end(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Convolutions and projection: features [B, T, mel], zero past their ends, to [T', B, gru_input].

        `lengths` [B] are those that come out, in frames: ceil(length / stride_time).
        """
        x = self.convolution(features.unsqueeze(1))
        mask = valid(lengths, x.shape[2]).T[:, None, :, None].to(x.dtype)
        x = x * mask
        for residual in self.residuals:
            x = residual(x, mask)
        out: Tensor = self.projection(x.permute(2, 0, 1, 3).flatten(2))
        return out.to(features.dtype)

    def _log_probs(self, x: Tensor, frames: int) -> Tensor:
        """Return log-probabilities [B, frames, tokens] of scores [T', B, outputs * tokens]."""
        batch = x.shape[1]
        by_clip = x.transpose(0, 1).reshape(batch, -1, self.tokens)
        parts = torch.split(by_clip[:, :frames], list(self.alphabets), -1)
        return torch.cat([part.log_softmax(-1) for part in parts], -1) if len(parts) > 1 else parts[0].log_softmax(-1)

    @property
    def parameter_count(self) -> int:
        """Number of trained values."""
        return sum(parameter.numel() for parameter in self.parameters())


def _shortened(lengths: Tensor, stride: int) -> Tensor:
    return torch.div(lengths + stride - 1, stride, rounding_mode="floor")


def decayed_parameters(network: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split the parameters into matrices, which weight decay may shrink, and biases and norms, which it must not."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            spare = isinstance(module, nn.LayerNorm) or name.startswith("bias")
            (spared if spare else decayed).append(parameter)
    return decayed, spared
