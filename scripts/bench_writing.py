"""How fast texts are written in batches, and one by one: ``python scripts/bench_writing.py``.

The small language model of ``task=generation``, untrained, on one core: the same greedy texts of 48 tokens, in turns.
"""

import statistics
import time

import torch

from mmml.tasks.generation.tokens import ByteTokens
from mmml.tasks.generation.writer import Decoding, Writer, from_scratch

TEXTS, ALONE, TOKENS, PREFIX, ROUNDS = 256, 16, 48, 4, 5


def main() -> None:
    """Print tokens a second of both, and their ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    tokens = ByteTokens()
    model = from_scratch(tokens, 128, 2, 4, PREFIX + TOKENS)
    for parameter in model.parameters():
        parameter.data.mul_(4)  # so that the next token is no tie
    model.lm_head.weight.data[tokens.end] = 0  # and no text ends early
    writer = Writer(model.eval(), tokens, Decoding("greedy", 1, 1.0, TOKENS), frozen=False)
    prefix = torch.randn(TEXTS, PREFIX, writer.width)
    rates: dict[str, list[float]] = {"in a batch": [], "one by one": []}
    with torch.no_grad():
        for _ in range(ROUNDS):
            start = time.perf_counter()
            together = writer.generate(prefix)
            middle = time.perf_counter()
            alone = [writer.generate(prefix[i : i + 1]) for i in range(ALONE)]
            end = time.perf_counter()
            rates["in a batch"].append(TEXTS * TOKENS / (middle - start))
            rates["one by one"].append(ALONE * TOKENS / (end - middle))
    same = sum(bool((together[i, : t.shape[1]] == t[0]).all()) for i, t in enumerate(alone))
    for name, each in rates.items():
        print(f"{name}: {statistics.median(each):,.0f} tokens/s")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    print(f"{statistics.median(ratios):.1f} times as fast; {same} of {ALONE} texts are the same")


if __name__ == "__main__":
    main()
