"""The trainings: ResNet-20 on CIFAR-10 and Modified-LeNet on MNIST in stages, and MNIST in large batches.

The source trains ResNet-50 on ImageNet, and again with batch and learning rate times k, k = 8 in its
figures and k = 32 where filters died. Here k multiplies the batch and the learning rate of the staged
MNIST training, as long, with a cosine as schedule, since only that one has a twin with warm-up.
"""

from typing import NamedTuple

from experiments.recorded import trained

DATA = ("cifar10", "mnist")
OPTIMIZERS = ("sgd", "adam")
ADAM_RATE = 0.01
BATCH, RATE = 64, 0.1  # of conf/experiment/mnist_stages.yaml: what k multiplies
TIMES = (8, 32)
EPOCHS, DUMPS = 2, 30  # of a training in large batches
EXAMPLES = 60_000  # of MNIST
SHORT = ["train.steps=24", "record.dumps=4"]
SHORT_NETWORK = ["model.filters=[4,8]", "model.blocks=[1,1]"]


class Setting(NamedTuple):
    """What distinguishes a run: mnist or cifar10, sgd or adam, k, warm-up (of k > 1), the seed."""

    data: str
    optimizer: str = "sgd"
    times: int = 1
    warmup: bool = False
    seed: int = 0

    @property
    def label(self):
        """In words, without the seed."""
        if self.data == "cifar10":
            return "ResNet-20, CIFAR-10"
        words = f"Modified-LeNet, MNIST, {self.optimizer}"
        large = f", k = {self.times} {'with' if self.warmup else 'without'} warm-up"
        return words + (large if self.times > 1 else "")


class Place(NamedTuple):
    """Where runs and data lie: runs folder; mnist, cifar10: folders of the data or None (the user's cache);
    images: whether CIFAR-10 lies there as image files; short: small networks, a few iterations."""

    runs: str
    mnist: str | None = None
    cifar10: str | None = None
    images: bool = False
    short: bool = False


def quick():
    """[Setting] of a pass through every claim but that on warm-up."""
    return [Setting("cifar10"), Setting("mnist")]


def settings(seeds):
    """[Setting] of everything the claims need: CIFAR-10 once, MNIST with every seed."""
    mnist = [Setting("mnist", optimizer) for optimizer in OPTIMIZERS]
    mnist += [Setting("mnist", times=k, warmup=warmup) for k in TIMES for warmup in (False, True)]
    return [Setting("cifar10"), *(one._replace(seed=seed) for seed in range(seeds) for one in mnist)]


def run(place, setting):
    """The Run of a Setting, trained where it is missing."""
    name, overrides = command(place, setting)
    return trained(place.runs, name, *overrides, data_dir=getattr(place, setting.data))


def run_with_shares(place, setting, plain):
    """The Run of a Setting that shows the classes less often that the Run `plain` found easy."""
    name, overrides = command(place, setting)
    overrides += ("class_shares=from_run",)
    # The classes are ranked by training images (`easy_classes`), only the shares come from the test set.
    unnamed = (f'class_shares.path="{plain.path}"', "class_shares.on_test=true")
    return trained(place.runs, name, *overrides, unnamed=unnamed, data_dir=getattr(place, setting.data))


def command(place, setting):
    """(experiment, overrides) of its command line."""
    overrides = [f"seed={setting.seed}"] if setting.seed else []
    if setting.data == "cifar10" and place.images:
        overrides.append("dataset=images")
    if setting.optimizer == "adam":
        overrides += ["optimizer=adam", f"optimizer.learning_rate={ADAM_RATE}"]
    if setting.times > 1:
        overrides += _large(setting)
    if place.short:
        overrides += SHORT + (SHORT_NETWORK if setting.data == "cifar10" else [])
    return f"{setting.data}_stages", tuple(overrides)


def _large(setting):
    batch = setting.times * BATCH
    steps = EPOCHS * (EXAMPLES // batch)
    return [
        f"train.batch_size={batch}",
        f"optimizer.learning_rate={setting.times * RATE:g}",
        f"train.steps={steps}",
        f"record.dumps={-(-steps // DUMPS)}",
        f"schedule={'warmup_cosine' if setting.warmup else 'cosine'}",
    ]
