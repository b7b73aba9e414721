"""A trained tokenizer: word pieces."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

PAD, UNKNOWN = 0, 1
SPECIAL = ["[PAD]", "[UNK]"]
SPACE = "▁"  # stands for a space in pieces


class WordPieces:
    """WordPiece (Schuster and Nakajima, 2012; Devlin et al., 2019), by the library ``tokenizers``.

    Args:
        state: the trained tokenizer as JSON, from ``state`` of another instance.
    """

    def __init__(self, state: str):
        import tokenizers  # imported here, as not all runs need it

        self.state = state
        self._tokenizer = tokenizers.Tokenizer.from_str(state)

    @classmethod
    def train(
        cls, texts: Iterable[str], vocabulary: int, whole_words: bool = False
    ) -> "WordPieces":
        """Learn at most ``vocabulary`` pieces from texts; the same texts give the same pieces.

        With ``whole_words``, pieces keep case and spaces, so that texts can be restored from them.

        At most a third of the pieces are single characters, the most frequent ones (each counts
        twice: at the start of a word and within). Words with other characters are unknown.
        """
        from tokenizers import trainers

        tokenizer = _empty({}, whole_words)
        split, cleaner = tokenizer.pre_tokenizer.pre_tokenize_str, tokenizer.normalizer
        clean = cleaner.normalize_str if cleaner else str
        words = Counter(word for text in texts for word, _ in split(clean(text)))
        counts: Counter[str] = Counter()
        for word, count in words.items():
            counts.update(dict.fromkeys(word, count))
        alphabet = sorted(counts, key=lambda c: (-counts[c], c))[: (vocabulary - len(SPECIAL)) // 3]
        within = sorted({c for word in words for c in word[1:]} & set(alphabet))
        # The library's numbering of characters varies between calls and decides ties. As special
        # tokens, characters are numbered in the order given.
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary,
            special_tokens=[*SPECIAL, *alphabet, *(f"##{c}" for c in within)],
            initial_alphabet=alphabet,
            limit_alphabet=len(alphabet),
            show_progress=False,
        )
        tokenizer.train_from_iterator(sorted(words.elements()), trainer)
        return cls(_empty(tokenizer.get_vocab(), whole_words).to_str())

    def __len__(self) -> int:
        return self._tokenizer.get_vocab_size()

    def count(self, texts: Sequence[str]) -> list[int]:
        """The number of pieces of each text."""
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]

    def __call__(self, texts: Sequence[str], max_length: int) -> Tensor:
        """Return texts as pieces, truncated to ``max_length`` and padded with ``PAD``:
        ``[n, longest]`` int64.

        A text without any piece becomes ``UNKNOWN``, so that no row is all padding.
        """
        encoded = self._tokenizer.encode_batch([str(t) for t in texts])
        rows = [torch.tensor(e.ids[:max_length] or [UNKNOWN]) for e in encoded]
        return pad_sequence(rows, batch_first=True, padding_value=PAD)

    def text(self, pieces: Sequence[int]) -> str:
        """Restore a text from pieces that were trained with ``whole_words``; unknown pieces are
        left out.
        """
        tokens = [self._tokenizer.id_to_token(piece) for piece in pieces if piece > UNKNOWN]
        return (
            "".join(p.removeprefix("##") for p in tokens if p is not None)
            .replace(SPACE, " ")
            .strip()
        )


def _empty(vocabulary: dict[str, int], whole_words: bool = False) -> Any:
    """Return a tokenizer with this vocabulary; texts contain no special tokens.

    It separates words and punctuation, in lower case. With ``whole_words``, case is kept, and the
    space before a word belongs to the word.
    """
    import tokenizers

    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordPiece(vocabulary, unk_token=SPECIAL[UNKNOWN])
    )
    if whole_words:
        parts = [
            tokenizers.pre_tokenizers.Metaspace(replacement=SPACE),
            tokenizers.pre_tokenizers.Punctuation(),
        ]
        tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(parts)
        return tokenizer
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=True, strip_accents=False
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return tokenizer
