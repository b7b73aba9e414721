"""How good a written text is beside the one that was asked for."""

from collections.abc import Sequence
from typing import Any

from mmml.errors import UserError


def chrf(written: str, asked: str) -> float:
    """Character n-gram F-score (Popović, 2015), by sacrebleu, from 0 to 1."""
    return float(sacrebleu().sentence_chrf(written, [asked]).score) / 100


def bleu(written: Sequence[str], asked: Sequence[str]) -> float:
    """BLEU of several texts together (Papineni et al., 2002), by sacrebleu, from 0 to 1."""
    scorer = sacrebleu().metrics.BLEU(effective_order=True)
    return float(scorer.corpus_score(list(written), [list(asked)]).score) / 100


def rouge_l(written: str, asked: str) -> float:
    """F-score of the longest common subsequence of words (Lin, 2004), from 0 to 1."""
    a, b = written.casefold().split(), asked.casefold().split()
    if not a or not b:
        return float(a == b)
    common = longest_common(a, b)
    return 2 * common / (len(a) + len(b))


def longest_common(a: Sequence[str], b: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for j, other in enumerate(b):
            before, row[j + 1] = row[j + 1], before + 1 if word == other else max(row[j], row[j + 1])
    return row[-1]


def sacrebleu() -> Any:
    """The library."""
    try:
        import sacrebleu as library
    except ImportError:
        raise UserError("task=generation needs the package sacrebleu: pip install 'mmml[generation]'") from None
    return library
