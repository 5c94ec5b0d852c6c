"""A comparison from Python: trained, read, and its generator used. Seconds on a CPU; six steps say nothing."""

import numpy as np

import cgbench


def main() -> None:
    """Compare two methods at the smallest size and print what is there to be used."""
    run = cgbench.run(["cyclegan", "gan_only"], "streets", seeds=[0, 1], preset="smoke", name="python-tour", quiet=True)
    print(run)

    scores = run.scores()
    judged = scores[(scores["direction"] == "AtoB") & (scores["metric"] == "fcn_iou")]
    print(judged[["method", "mean", "spread", "n_seeds"]].to_string(index=False))

    differences = run.differences(reference="cyclegan")
    print(f"{len(differences)} differences, {int(differences['significant'].sum())} of them sure")
    print(f"losses: {', '.join(sorted(set(run.losses()['term'])))}")

    generator = run.trial("cyclegan", 0).generator("AtoB")
    source = next(iter(run.images(which="sources").values()))
    output = generator.translate(source)
    print(f"{source.shape} {source.dtype} → {output.shape} {output.dtype}, mean level {np.mean(output):.0f}")


if __name__ == "__main__":
    main()
