"""Writes tests/interchange/files/ by the libraries whose files these are; needs `pip install
'gdlab[rivals]'`.

    python -m tests.interchange.make_fixtures

Every run has the steps 0 ... 9 with loss 1 / (1 + k) and, at even steps, val/accuracy k / 10; `bad` is NaN
at step 1 and infinite at step 2, as far as the format has such numbers. The versions that wrote them stand in
files/VERSIONS.
"""

import gzip
import os
import shutil
import sys
import tempfile
from importlib import metadata
from pathlib import Path

FILES = Path(__file__).parent / "files"
LIBRARIES = ("tensorboardX", "tensorflow-cpu", "clu", "wandb", "mlflow", "trackio")
CONFIG = {"lr": 0.1, "width": 32, "name": "a", "flag": True}
STEPS = 10
BAD = {1: float("nan"), 2: float("inf")}


def numbers(step: int) -> dict[str, float]:
    """What is written at a step."""
    found = {"loss": 1 / (1 + step), "bad": BAD.get(step, 0.5)}
    return {**found, "val/accuracy": step / 10} if step % 2 == 0 else found


def main():
    """Write all of them anew."""
    shutil.rmtree(FILES, ignore_errors=True)
    FILES.mkdir(parents=True)
    for write in (tensorboard_x, tensorflow, clu, wandb, mlflow_files, mlflow_database, trackio):
        print(write.__name__, file=sys.stderr)
        write(FILES)
    lines = [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    (FILES / "VERSIONS").write_text("\n".join(lines) + "\n")


def tensorboard_x(files):
    """The form before TensorFlow 2, and the hyper-parameters of PyTorch's `add_hparams`."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(files / "tensorboard_x")) as writer:
        for step in range(STEPS):
            for name, value in numbers(step).items():
                writer.add_scalar(name, value, step)
        writer.add_text("a text", "is left out", 0)
        writer.add_hparams(CONFIG, {"hparam/accuracy": 0.8}, name="1700000000.5")


def tensorflow(files):
    """Tensors of several types in the parts that Keras writes; the loss of every step."""
    import tensorflow as tf

    for part in ("train", "validation"):
        writer = tf.summary.create_file_writer(str(files / "keras" / part))
        with writer.as_default():
            for step in range(STEPS):
                if part == "train":
                    tf.summary.scalar("loss", 1 / (1 + step), step)
                    tf.summary.scalar("half", tf.constant(step / 4, tf.bfloat16), step)
                    tf.summary.scalar("double", tf.constant(1 / 3 + step, tf.float64), step)
                elif step % 2 == 0:
                    tf.summary.scalar("accuracy", step / 10, step)
                    tf.summary.histogram("weights", [1.0, 2.0, float(step)], step)
                    tf.summary.image("picture", tf.zeros([1, 4, 4, 1]), step)
        writer.close()


def clu(files):
    """clu's writer, with hyper-parameters of TensorBoard's plug-in."""
    from clu import metric_writers

    writer = metric_writers.SummaryWriter(str(files / "clu"))
    writer.write_hparams(CONFIG)
    for step in range(STEPS):
        writer.write_scalars(step, numbers(step))
    writer.close()


def wandb(files):
    """An offline run that ended well, and one that was not finished."""
    import wandb as library

    os.environ["WANDB_SILENT"] = "true"
    with tempfile.TemporaryDirectory() as folder:
        settings = library.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
        run = library.init(
            project="p",
            dir=folder,
            mode="offline",
            id="abc",
            config={**CONFIG, "net": {"depth": 2}},
            settings=settings,
        )
        for step in range(STEPS):
            run.log({**numbers(step), "nested": {"value": step}, "text": "left out"})
        run.finish()
        (path,) = Path(folder).glob("wandb/offline-run-*/run-abc.wandb")
        target = files / "wandb" / "offline-run-20260101_120000-abc"
        target.mkdir(parents=True)
        shutil.copy(path, target / path.name)


def _log(client, uri):
    client.set_tracking_uri(uri)
    client.set_experiment("e")
    with client.start_run(run_name="first"):
        client.log_params(CONFIG)
        for step in range(STEPS):
            client.log_metrics(numbers(step), step=step)


def mlflow_files(files):
    """The folder `mlruns`."""
    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        _log(mlflow, f"file://{folder}/mlruns")
        for path in Path(folder).rglob("meta.yaml"):  # where it was made is nothing to keep
            path.write_text(path.read_text().replace(folder, "/elsewhere"))
        shutil.copytree(
            Path(folder) / "mlruns", files / "mlruns", ignore=shutil.ignore_patterns(".trash", "tags")
        )


def mlflow_database(files):
    """The store in SQLite, packed."""
    import sqlite3

    import mlflow

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        _log(mlflow, f"sqlite:///{path}")
        with sqlite3.connect(path) as connection:
            for table in ("experiments", "runs"):
                connection.execute(
                    f"UPDATE {table} SET artifact_{'location' if table[0] == 'e' else 'uri'} = '/elsewhere'"
                )
            connection.execute("DELETE FROM tags")
            connection.commit()
            connection.execute("VACUUM")
        (files / "mlflow.db.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))


def trackio(files):
    """The database of a project, and its export to Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRACKIO_DIR"] = folder
        import trackio as library
        from trackio.sqlite_storage import SQLiteStorage

        for name in ("first", "second"):
            run = library.init(project="p", name=name, config={**CONFIG, "name": name}, auto_log_gpu=False)
            for step in range(STEPS):
                run.log(numbers(step))
            library.finish()
        SQLiteStorage.load_from_dataset = None
        SQLiteStorage._dataset_import_attempted = True
        SQLiteStorage.export_to_parquet()
        (files / "trackio").mkdir()
        for path in Path(folder).glob("p*"):
            if path.suffix in (".db", ".parquet") and "_system" not in path.name:
                shutil.copy(path, files / "trackio" / path.name)


if __name__ == "__main__":
    main()
