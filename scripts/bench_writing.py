"""Time text generation in batches and one by one: ``python scripts/bench_writing.py``.

Uses ``method/language_model=small``, untrained, on one core, with bytes and with as many tokens as
GPT-2. Both ways take turns and write the same greedy texts of 48 tokens.
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
    """Tokens of a vocabulary as large as that of GPT-2; texts are their numbers."""

    vocabulary = 50_257

    def decode(self, tokens: Tensor) -> list[str]:
        return [str(row) for row in tokens.tolist()]


def main() -> None:
    """Print the tokens per second of both ways, and their ratio, for each vocabulary."""
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
    """Return a language model with confident predictions, which never ends a text early."""
    torch.manual_seed(0)
    model = gpt2(tokens, 128, 2, 4, PREFIX + TOKENS)
    for parameter in model.parameters():
        parameter.data.mul_(4)  # so that no two tokens are equally probable
    model.lm_head.weight.data[tokens.end] = 0
    return LanguageModel(
        model.eval(), tokens, Decoding(PREFIX, "greedy", 1, 1.0, TOKENS), frozen=False
    )


def measured(writer: LanguageModel) -> tuple[dict[str, list[float]], int]:
    """Return the tokens per second in each round, and how many texts are the same."""
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
