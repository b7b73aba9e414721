"""Scores of generated texts against references."""

import functools
from collections.abc import Sequence
from typing import Any

from mmml.errors import UserError
from mmml.text.words import words


def chrf(written: str, reference: str) -> float:
    """Return chrF, the character n-gram F-score (Popović, 2015), by sacrebleu, from 0 to 1."""
    return float(sacrebleu().sentence_chrf(written, [reference]).score) / 100


def bleu(written: Sequence[str], reference: Sequence[str]) -> float:
    """Return BLEU of several texts together (Papineni et al., 2002), by sacrebleu, from 0 to 1."""
    scorer = sacrebleu().metrics.BLEU(effective_order=True)
    return float(scorer.corpus_score(list(written), [list(reference)]).score) / 100


def rouge_l(written: str, reference: str) -> float:
    """Return ROUGE-L, the F-score of the longest common subsequence of words (Lin, 2004), by
    rouge-score, from 0 to 1; 0 without words.

    Words are sequences of letters and digits of any alphabet, in lower case. For English this is
    the same as in rouge-score, which supports no other alphabet.
    """
    return float(rouge().score(reference, written)["rougeL"].fmeasure)


class Words:
    """Splits texts into words, for rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        """See :func:`mmml.text.words.words`."""
        return words(text)


@functools.cache
def rouge() -> Any:
    """Return the scorer of the library rouge-score."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise UserError(
            "task=generation needs the package rouge-score: pip install 'mmml[generation]'"
        ) from None
    return RougeScorer(["rougeL"], tokenizer=Words())


def sacrebleu() -> Any:
    """Return the library sacrebleu."""
    try:
        import sacrebleu as library
    except ImportError:
        raise UserError(
            "task=generation needs the package sacrebleu: pip install 'mmml[generation]'"
        ) from None
    return library
