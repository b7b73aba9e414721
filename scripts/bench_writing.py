"""How fast texts are written in batches, and one by one: ``python scripts/bench_writing.py``.

``method/language_model=small``, untrained, on one core, of bytes and of as many
tokens as GPT-2 has: the same greedy texts of 48 tokens, in turns.
"""

import statistics
import time

import torch
from torch import Tensor

from mmml.methods.learned_optimizer.language_models import LanguageModel
from mmml.methods.learned_optimizer.language_models.base import Decoding
from mmml.methods.learned_optimizer.language_models.small import gpt2
from mmml.text.tokens import ByteTokens

TEXTS, ALONE, TOKENS, PREFIX, ROUNDS = 256, 16, 48, 4, 5


class ManyTokens(ByteTokens):
    """As many as GPT-2 has; texts are their numbers."""

    vocabulary = 50_257

    def decode(self, tokens: Tensor) -> list[str]:
        return [str(row) for row in tokens.tolist()]


def main() -> None:
    """Print tokens a second of both, and their ratio, for each vocabulary."""
    torch.set_num_threads(1)
    for tokens in (ByteTokens(), ManyTokens()):
        rates, same = measured(writer_of(tokens))
        print(f"{tokens.vocabulary} tokens")
        for name, each in rates.items():
            print(f"  {name}: {statistics.median(each):,.0f} tokens/s")
        ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
        print(
            f"  {statistics.median(ratios):.1f} times as fast; {same} of {ALONE} texts are the same"
        )


def writer_of(tokens: ByteTokens) -> LanguageModel:
    """One that is sure of itself, and ends no text early."""
    torch.manual_seed(0)
    model = gpt2(tokens, 128, 2, 4, PREFIX + TOKENS)
    for parameter in model.parameters():
        parameter.data.mul_(4)  # so that the next token is no tie
    model.lm_head.weight.data[tokens.end] = 0
    return LanguageModel(
        model.eval(), tokens, Decoding(PREFIX, "greedy", 1, 1.0, TOKENS), frozen=False
    )


def measured(writer: LanguageModel) -> tuple[dict[str, list[float]], int]:
    """Tokens a second in every round, and how many texts are the same."""
    prefix = torch.randn(TEXTS, PREFIX, writer.width)
    rates: dict[str, list[float]] = {"in a batch": [], "one by one": []}
    for _ in range(ROUNDS):
        start = time.perf_counter()
        together = writer.write(prefix)
        middle = time.perf_counter()
        alone = [writer.write(prefix[i : i + 1])[0] for i in range(ALONE)]
        end = time.perf_counter()
        rates["in a batch"].append(TEXTS * TOKENS / (middle - start))
        rates["one by one"].append(ALONE * TOKENS / (end - middle))
    return rates, sum(a == b for a, b in zip(alone, together, strict=False))


if __name__ == "__main__":
    main()
