"""``mmml-predict``: predict labels of new files from a few labelled examples."""

from mmml.cli.arguments import refuse_stray, wants_help
from mmml.config.compose import take_option
from mmml.config.folders import conf_dir

HELP = """\
mmml-predict: label new files from a few labelled examples of each class.

  mmml-predict checkpoint=RUN support=FOLDER query=FOLDER
  mmml-predict encoder=pretrained encoder.image.model=FOLDER support=FOLDER query=FOLDER
  mmml-predict support=FOLDER query=FOLDER predict.features=matrix.npy method/classifier=ridge

support and query are manifests (metadata.csv, .jsonl or .parquet beside the files) or folders;
support has a label for each row or a folder for each class. Without a checkpoint, a frozen
encoder or features as they are, and a rule: prototype, nearest, ridge, attention.

"""


def predict(arguments: list[str]) -> int:
    """Predict the queries that the arguments name; returns the exit code."""
    if wants_help(arguments):
        options = (conf_dir() / "predict.yaml").read_text().partition("\npredict:\n")[2]
        print(HELP + "Options (predict.key=value):\n" + options, end="")
        return 0
    refuse_stray(arguments, "support")
    support, rest = take_option(
        arguments, "support", wanted="a folder or manifest of labelled examples"
    )
    query, rest = take_option(
        rest, "query", wanted="a folder or manifest of what is to be labelled"
    )
    checkpoint, overrides = take_option(rest, "checkpoint", "")
    from mmml.predict.command import predict

    return predict(checkpoint or None, support, query, overrides)
