"""What dumps cost beside the training: `python -m benchmarks.dump_cost --data-dir CIFAR10 [--images]`.

CIFAR-10 with ResNet-20 and batches of 64. Iterations of the training loop and the parts of a dump take turns;
the least time of all rounds counts. The forward passes over the validation images are apart: how many
images is the user's choice (record.dump_examples), while gradient, statistics and activations are what a
dump adds. Per iteration a dump costs its time divided by the interval; it grows with the images, and with
the weights times the levels of the network's hierarchy (every group's quartiles sort its weights anew).
"""

import argparse
import sys
import time
from pathlib import Path

import jax
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from gdlab.app_path import conf_dir
from gdlab.monitors.dumps import Moment
from gdlab.plan.assembly import assemble, training
from gdlab.plan.monitoring import dumper
from gdlab.plan.options import plan_of

INTERVAL = 100
BATCH = 64
ITERATIONS, ROUNDS = 4, 3


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dump_cost", description=__doc__.split(":")[0])
    parser.add_argument("--data-dir", type=Path, help="CIFAR-10's files")
    parser.add_argument("--images", action="store_true", help="they are image files, or a zip of them")
    options = parser.parse_args()
    config = _config(options)
    assembly = assemble(plan_of(config))
    made = training(assembly)
    taker, _ = dumper(assembly)
    parts = _parts(assembly, made, taker)
    best = {name: min(values) for name, values in _timed(parts).items()}
    iteration = best["iterations"] / ITERATIONS
    print(f"ResNet-20, batch {BATCH}, {jax.default_backend()}; one iteration {1000 * iteration:,.0f} ms")
    print(f"forward passes over {len(taker.images):,} + {len(taker.samples['train']['y']):,} images: "
          f"{1000 * best['predictions']:,.0f} ms")  # fmt: skip
    print(f"gradient, statistics, activations of a dump: {1000 * best['statistics']:,.0f} ms")
    share = best["statistics"] / (INTERVAL * iteration)
    whole = share + best["predictions"] / (INTERVAL * iteration)
    print(f"at an interval of {INTERVAL}: {share:.2%} of the training, {whole:.2%} with the forward passes")


def _parts(assembly, made, taker):
    """{name: a function that does it once and waits for it}."""
    state = made.init(assembly.key, assembly.data)
    steps, _, _ = assembly.steps(0, ITERATIONS, made.length)

    def iterations():
        jax.block_until_ready(made.chunk(state, assembly.data, assembly.key, steps, ITERATIONS))

    moment = Moment(0, state.params, state.params, assembly.batch(0), assembly.step_key(0, False))
    predict = taker.predict

    def predictions():
        for data in taker.samples.values():
            predict(state.params, data, taker.calibration)

    def statistics():
        answers = {id(data): predict_once[part] for part, data in taker.samples.items()}
        taker.predict = lambda params, data, calibration: answers[id(data)]
        taker.take(moment)
        taker.predict = predict

    predict_once = {
        part: predict(state.params, data, taker.calibration) for part, data in taker.samples.items()
    }
    return {"iterations": iterations, "predictions": predictions, "statistics": statistics}


def _timed(parts):
    """{name: seconds of each round}, after one round that compiles."""
    times: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(ROUNDS + 1):
        for name, part in parts.items():
            begun = time.perf_counter()
            part()
            if turn:
                times[name].append(time.perf_counter() - begun)
    return times


def _config(options):
    overrides = ["experiment=cifar10_resnet20", "record=dumps", f"record.dumps={INTERVAL}"]
    overrides += [f"train.batch_size={BATCH}", "train.steps=1000"]
    if options.images:
        overrides.append("dataset=images")
    if options.data_dir is not None:
        overrides.append(f"data_dir={options.data_dir}")
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return OmegaConf.to_container(compose("config", ["name=dump_cost", *overrides]), resolve=True)


if __name__ == "__main__":
    sys.exit(main())
