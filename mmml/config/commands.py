"""What the console scripts print for ``--help``, but for ``mmml-train``, whose options are read from ``conf/``."""

EVAL_HELP = """\
mmml-eval: judge a finished run, on test classes that it never saw.

  mmml-eval checkpoint=RUN                          the best checkpoint of a run directory
  mmml-eval checkpoint=FILE.ckpt episode.eval.ways=20 evaluation.episodes=10000
  mmml-eval checkpoint=RUN name=twenty-way          write to RUN/eval/twenty-way/
  mmml-eval 'checkpoint=[RUN,RUN,FILE.ckpt]'        compare them, on the very same test episodes

Options are those of the run's own config (see RUN/config.yaml): episode.eval.*, evaluation.*,
trainer.device, and dataset.* or dataset=NAME to judge it on other data. Written beside the
run: result.json, episodes.parquet (the score of every episode), examples.json, report.html.

Of several checkpoints, the first says what is played: its dataset, episode and evaluation
options, with those given here. All must have its dataset and task; a path with a comma stands
in quotes. Written to outputs/eval/NAME/, with differences.csv: every pair, episode by episode.
"""

PREDICT_HELP = """\
mmml-predict: label new files from a few labelled examples of each class.

  mmml-predict checkpoint=RUN support=FOLDER query=FOLDER
  mmml-predict encoder=pretrained encoder.image.model=FOLDER support=FOLDER query=FOLDER
  mmml-predict support=FOLDER query=FOLDER predict.features=matrix.npy method/classifier=ridge

support and query are manifests (metadata.csv, .jsonl or .parquet beside the files) or folders;
support has a label for each row or a folder for each class. Without a checkpoint, a frozen
encoder or features as they are, and a rule: prototype, nearest, ridge, attention.

"""

DATA_HELP = """\
mmml-data: look at data before training on them, and download data of others.

  mmml-data check PATH                       what PATH holds, what is wrong with it, how to fix it
  mmml-data check PATH episode.eval.ways=2   whether these episodes can be played; any option of mmml-train
  mmml-data show emoji dataset.size=64       what a dataset of mmml's has: classes, samples, modalities
  mmml-data get omniglot                     download a dataset; the same command goes on where it broke off
  mmml-data get omniglot dataset.root=DIR    into DIR/omniglot; else below $MMML_DATA or in the cache
  mmml-data cache                            where the cache is, and how large each kind of entry
  mmml-data cache clean                      remove all entries but downloads; files of others stay
  mmml-data cache clean image days=30        only one kind, and only what was not used for 30 days

PATH is a folder with metadata.csv, .jsonl or .parquet, such a file, or a folder of class folders. check prints
a table, writes data.html (data.page=FILE), and exits with 1 if training would fail; get, if a part is left to be done.
"""

REPORT_HELP = """\
mmml-report: write the report of a run, or the summary of a sweep, anew from its files.

  mmml-report RUN      RUN/report.html
  mmml-report SWEEP    SWEEP/summary.csv and summary.md
"""
