"""Checks of metrics, intervals, temperatures and spectrograms."""

import numpy as np
import torch

from comparisons.base import Both, check, numbers
from mmml.encoders.logmel import log_mel, mel_filters
from mmml.evaluation.calibration import fit_temperature
from mmml.evaluation.evaluators.keyframes import correlations
from mmml.evaluation.statistics import interval, paired_interval
from mmml.tasks.classification import ACCURACY, Classification
from mmml.tasks.generation.scores import bleu, chrf, rouge_l
from mmml.tasks.ranking import RECALLS, rank_scores
from mmml.tasks.regression import ABOVE, F1, MAE, PEARSON, Regression

WRITTEN = ["the red cat sat on the mat, and slept there.", "no dog came"]
ASKED = ["A red cat slept on that mat; it did not sit there.", "no dog ever came to it"]
MELS, HOP, WINDOW, FFT, RATE = 40, 160, 400, 512, 16_000


def predictions() -> tuple[np.ndarray, np.ndarray]:
    """Return overconfident log-probabilities ``[n, 5]``, and the right classes."""
    logits = numbers(200, 5)
    right = (logits + 1.5 * numbers(200, 5, seed=1)).argmax(-1)
    return (3 * logits).log_softmax(-1).numpy(), right.numpy()


@check("accuracy and log loss", "scikit-learn", package="sklearn")
def _() -> Both:
    from sklearn.metrics import accuracy_score, log_loss

    logs, right = predictions()
    task, both = Classification(), (torch.from_numpy(logs)[None], torch.from_numpy(right)[None])
    own = [task.scores(*both)[ACCURACY].double().mean(), task.loss(*both).item()]
    return [accuracy_score(right, logs.argmax(-1)), log_loss(right, np.exp(logs))], own


@check("R@1, R@5", "scikit-learn", package="sklearn")
def _() -> Both:
    from sklearn.metrics import top_k_accuracy_score

    fits = numbers(40, 20)
    right = fits.add(3 * numbers(40, 20, seed=1)).argmax(-1)
    own = rank_scores(fits, right)
    ranks = [top_k_accuracy_score(right, fits, k=k, labels=range(20)) for k in (1, 5)]
    return ranks, [own[RECALLS[k]].double().mean() for k in (1, 5)]


@check("MAE, accuracy and F1 above a threshold", "scikit-learn", tolerance=1e-6, package="sklearn")
def _() -> Both:
    from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error

    said, true = numbers(30), numbers(30) + numbers(30, seed=1)
    found = Regression(0.2).scores(said[None], true[None])
    above = true > 0.2, said > 0.2
    reference = [mean_absolute_error(true, said), accuracy_score(*above), f1_score(*above)]
    return reference, [found[m].double().mean() for m in (MAE, ABOVE, F1)]


@check("Pearson's r, of numbers around 1e6 that differ by 1e-3", "scipy", tolerance=1e-6)
def _() -> Both:
    from scipy.stats import pearsonr

    a, b = 1e6 + 1e-3 * numbers(30), numbers(30) + numbers(30, seed=1)
    return pearsonr(a, b)[0], Regression().scores(a[None], b[None])[PEARSON].squeeze()


@check("Kendall's tau-b and Spearman's rho, with ties", "scipy")
def _() -> Both:
    from scipy.stats import kendalltau, spearmanr

    a, b = numbers(30).round().numpy(), (numbers(30) + numbers(30, seed=1)).round().numpy()
    return [kendalltau(a, b, variant="b")[0], spearmanr(a, b)[0]], correlations(a, b[None])


@check("Student's t interval of a mean", "scipy")
def _() -> Both:
    from scipy.stats import sem, t

    scores = numbers(12).numpy()
    low, high = t.interval(0.95, len(scores) - 1, loc=scores.mean(), scale=sem(scores))
    return [(low + high) / 2, (high - low) / 2], interval(scores)


@check("paired interval", "scipy")
def _() -> Both:
    from scipy.stats import ttest_rel

    a, b = numbers(12).numpy(), numbers(12, seed=1).numpy()
    found = ttest_rel(a, b).confidence_interval(0.95)
    return [found.low, found.high], [m + s * h for m, h in [paired_interval(a, b)] for s in (-1, 1)]


# mmml uses t with 9,999 degrees of freedom, not z.
@check("Wilson's interval, 3 wrong of 10,000", "scipy", tolerance=1e-6)
def _() -> Both:
    from scipy.stats import binomtest

    right = np.ones(10_000)
    right[:3] = 0
    mean, half = interval(right, answers=1)
    return binomtest(9_997, 10_000).proportion_ci(0.95, "wilson").low, mean - (half or 0)


@check("temperature of log-probabilities", "scipy", tolerance=1e-4)
def _() -> Both:
    from scipy.optimize import minimize_scalar

    logs, right = predictions()

    def unlikely(log_temperature: float) -> float:
        scaled = torch.from_numpy(logs / np.exp(log_temperature)).log_softmax(-1).numpy()
        return -float(scaled[np.arange(len(right)), right].mean())

    found = minimize_scalar(unlikely, bounds=(-4, 4), options={"xatol": 1e-7}, method="bounded")
    return np.exp(found.x), fit_temperature(logs, right)


@check("chrF of sentences", "sacrebleu")
def _() -> Both:
    from sacrebleu import sentence_chrf

    pairs = list(zip(WRITTEN, ASKED, strict=True))
    return [sentence_chrf(w, [a]).score / 100 for w, a in pairs], [chrf(w, a) for w, a in pairs]


@check("BLEU of two texts together", "sacrebleu")
def _() -> Both:
    from sacrebleu import corpus_bleu

    return corpus_bleu(WRITTEN, [ASKED]).score / 100, bleu(WRITTEN, ASKED)


@check("ROUGE-L, English", "rouge-score", package="rouge_score")
def _() -> Both:
    from rouge_score.rouge_scorer import RougeScorer

    scorer, pairs = RougeScorer(["rougeL"]), list(zip(WRITTEN, ASKED, strict=True))
    return [scorer.score(a, w)["rougeL"].fmeasure for w, a in pairs], [
        rouge_l(w, a) for w, a in pairs
    ]


@check("mel filters", "librosa", tolerance=1e-5)
def _() -> Both:
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, htk=True, norm=None).T, mel_filters(
        MELS
    )


@check("log-mel spectrum", "librosa", tolerance=1e-3)  # logarithms of float32 sums
def _() -> Both:
    import librosa

    wave = 0.1 * numbers(RATE).float().numpy()
    # librosa centres the window in its frame.
    shifted = np.pad(wave, ((FFT - WINDOW) // 2, FFT))
    options = {
        "n_fft": FFT,
        "win_length": WINDOW,
        "hop_length": HOP,
        "n_mels": MELS,
        "htk": True,
        "norm": None,
    }
    power = librosa.feature.melspectrogram(y=shifted, sr=RATE, center=False, **options)
    own = log_mel(torch.from_numpy(wave)[None], MELS, HOP)[0]
    return np.log(np.maximum(power.T[: len(own)], 1e-5)), own
