"""The speller: a small network like the upper part of Deep Speech 2, which reads phones and writes letters."""

from __future__ import annotations

from torch import Tensor, nn

from auricle.training.network import RecurrentLayer
from auricle.training.recipe import NetworkConfig, Recipe
from auricle.training.spelling.recipe import SpellingRecipe


class Speller(nn.Module):
    """Scores of letters from probabilities of phones: projection, bidirectional GRU layers, LayerNorm, output."""

    def __init__(self, heard: Recipe, own: SpellingRecipe) -> None:
        """`heard` is the recipe of the network whose phones it reads, and `own` has its sizes and its dropout."""
        super().__init__()
        self.outputs = heard.network.outputs
        """Frames of a step."""
        self.letters, self.phones = heard.outputs
        config = NetworkConfig(
            gru_hidden=own.hidden,
            gru_norm="pre",
            gru_gelu=False,
            gru_residual=True,
            gru_dropout=own.dropout,
            gru_dropout_locked=True,
        )
        width = 2 * own.hidden
        self.projection = nn.Linear(self.outputs * self.phones, own.width)
        self.recurrent = nn.ModuleList(
            RecurrentLayer(config, width) for width in [own.width, *[width] * (own.layers - 1)]
        )
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, self.outputs * self.letters)

    def forward(self, phones: Tensor, lengths: Tensor) -> Tensor:
        """Probabilities [steps, B, outputs * phones] and lengths [B] in steps, to log-probabilities of letters.

        They are [B, outputs * steps, letters].
        """
        x = self.projection(phones)
        for layer in self.recurrent:
            x = layer(x, lengths)
        scores: Tensor = self.output(self.norm(x))
        return scores.transpose(0, 1).reshape(phones.shape[1], -1, self.letters).log_softmax(-1)
