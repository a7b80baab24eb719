"""The trainings of the thesis's chapter 6: networks x data x (SGD, Adam) x dropout, over several seeds."""

from typing import NamedTuple

from experiments.recorded import trained

DATA = ("mnist", "cifar10")
OPTIMIZERS = ("sgd", "adam")
MODIFIED, LENET5 = "modified_lenet", "lenet5"
VGG = "vgg"
SIZES = ("tiny_nn", "tiny_cnn", VGG)  # the networks that the step sizes are verified on
DROPOUT = 0.5
STEPS = {"mnist": 12194, "cifar10": 10166}  # 13 epochs of mini-batches of 64, the last one smaller


class Setting(NamedTuple):
    """What distinguishes a run: mnist or cifar10, sgd or adam, the network, dropout's rate, the seed."""

    data: str
    optimizer: str
    network: str = MODIFIED
    dropout: float = 0.0
    seed: int = 0

    @property
    def label(self):
        """In words, without the seed."""
        parts = [self.network.replace("_", " "), self.data, self.optimizer]
        return ", ".join([*parts, "dropout"] if self.dropout else parts)


def quick():
    """[Setting] of a pass through every claim but those on the networks' sizes."""
    grid = [Setting(d, o) for d in DATA for o in OPTIMIZERS]
    grid += [Setting("mnist", o, dropout=DROPOUT) for o in OPTIMIZERS]
    return [*grid, Setting("mnist", "sgd", LENET5)]


def settings(seeds, seeds_of_vgg=None, data_of_vgg=DATA):
    """[Setting] of everything the claims need, the most used first; seeds_of_vgg: None for as many."""
    grid = [Setting(d, o, dropout=r) for d in DATA for o in OPTIMIZERS for r in (0.0, DROPOUT)]
    others = [Setting(d, o, network=n) for n in SIZES for d in DATA for o in OPTIMIZERS]
    # No claim asks for VGG with Adam, which takes longer than all other networks together.
    every = [*grid, Setting("mnist", "sgd", LENET5), *(s for s in others if s[1:3] != ("adam", VGG))]
    wanted = [setting._replace(seed=seed) for seed in range(seeds) for setting in every]
    most = seeds if seeds_of_vgg is None else seeds_of_vgg
    return [s for s in wanted if s.network != VGG or (s.seed < most and s.data in data_of_vgg)]


class Place(NamedTuple):
    """Where runs and data lie: runs folder; mnist, cifar10: folders of the data or None (the user's cache);
    images: whether CIFAR-10 lies there as image files; steps: iterations, None: 13 epochs."""

    runs: str
    mnist: str | None = None
    cifar10: str | None = None
    images: bool = False
    steps: int | None = None


def run(place, setting):
    """The finished Run of a Setting."""
    name, overrides = command(place, setting)
    return trained(place.runs, name, *overrides, data_dir=getattr(place, setting.data))


def shaped(place, setting, earlier):
    """The Run of a Setting with a learning rate shaped like the step sizes of an earlier Run of it."""
    name, overrides = command(place, setting)
    path = str(earlier.path.resolve()).replace("'", "\\'")
    overrides = (*overrides, "schedule=from_run", f"schedule.path='{path}'")
    data_dir = getattr(place, setting.data)
    names = {"called": f"{earlier.path.name}--shaped", "formerly": f"{earlier.path.name},shaped"}
    return trained(place.runs, name, *overrides, data_dir=data_dir, **names)


def command(place, setting):
    """(experiment, overrides) of its command line."""
    overrides = []
    if setting.network != MODIFIED:
        overrides.append(f"model={setting.network}")
    if setting.dropout:
        overrides.append(f"model.dropout={setting.dropout}")
    if setting.seed:
        overrides.append(f"seed={setting.seed}")
    if place.steps is not None:
        overrides.append(f"train.steps={place.steps}")
    if setting.data == "cifar10" and place.images:
        overrides.append("dataset=images")
    return f"{setting.data}_{setting.optimizer}", tuple(overrides)
