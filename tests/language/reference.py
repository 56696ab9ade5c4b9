"""Chen and Goodman's equations word for word, slow and without arrays: what the estimator is compared with."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TypeAlias

Gram: TypeAlias = tuple[str, ...]

FALLBACK = {1: 0.5, 2: 1.0, 3: 1.5}


class Reference:
    """Interpolated modified Kneser-Ney with KenLM's count cut-offs; p(w | h) for any word and context."""

    def __init__(self, sentences: Sequence[Sequence[str]], known: set[str], order: int, prune: Sequence[int]) -> None:
        self.order = order
        self.vocabulary = {*known, "<unk>", "</s>"}
        self.counts: list[Counter[Gram]] = [Counter() for _ in range(order + 1)]
        for sentence in sentences:
            words = ["<s>", *(word if word in known else "<unk>" for word in sentence), "</s>"]
            for size in range(1, order + 1):
                self.counts[size].update(tuple(words[i : i + size]) for i in range(len(words) - size + 1))
        self.adjusted: list[dict[Gram, int]] = [dict(counts) for counts in self.counts]
        for size in range(1, order):
            before: dict[Gram, set[str]] = defaultdict(set)
            for gram in self.counts[size + 1]:
                before[gram[1:]].add(gram[0])
            for gram in self.adjusted[size]:
                if gram[0] != "<s>":
                    self.adjusted[size][gram] = len(before[gram])
        del self.adjusted[1]["<s>",]
        self.discounts = [FALLBACK, *map(self._discounts, range(1, order + 1))]
        self.kept = [
            {
                gram
                for gram, count in self.counts[size].items()
                if count > ([0, *prune][size]) and ("<unk>" not in gram or size == 1)
            }
            for size in range(order + 1)
        ]
        self.following: dict[Gram, list[Gram]] = defaultdict(list)
        for grams in self.adjusted[1:]:
            for gram in grams:
                self.following[gram[:-1]].append(gram)

    def _discounts(self, size: int) -> dict[int, float]:
        n = Counter(self.adjusted[size].values())
        if not (n[1] and n[2] and n[3]):
            return FALLBACK
        y = n[1] / (n[1] + 2 * n[2])
        found = {i: i - (i + 1) * y * n[i + 1] / n[i] for i in (1, 2, 3)}
        return found if all(0 < found[i] < i for i in found) else FALLBACK

    def _discount(self, gram: Gram) -> float:
        return self.discounts[len(gram)][min(self.adjusted[len(gram)][gram], 3)]

    def gamma(self, context: Gram) -> float:
        """The share of a context that its shorter context gets."""
        grams = self.following.get(context, [])
        if not grams:
            return 1.0
        size = len(context) + 1
        left = sum(self._discount(g) if g in self.kept[size] else self.adjusted[size][g] for g in grams)
        return left / sum(self.adjusted[size][g] for g in grams)

    def probability(self, context: Gram, word: str) -> float:
        """Return p(word | context); longer contexts than the model has are cut."""
        context = context[max(len(context) - self.order + 1, 0) :]
        gram, size = (*context, word), len(context) + 1
        share = 0.0
        if gram in self.kept[size] and gram in self.adjusted[size]:
            total = sum(self.adjusted[size][g] for g in self.following[context])
            share = (self.adjusted[size][gram] - self._discount(gram)) / total
        lower = self.probability(context[1:], word) if context else 1 / len(self.vocabulary)
        return share + self.gamma(context) * lower

    def contexts(self) -> set[Gram]:
        """Every context that the text has, <unk> and </s> aside."""
        return {context for context in self.following if "<unk>" not in context}
