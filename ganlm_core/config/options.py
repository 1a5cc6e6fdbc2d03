"""Options of training, of its start and of the optimisers. They belong to the core; no plugin registers them."""

from ganlm_core.components import AUTO, Options, option


class TrainingOptions(Options):
    """The ``[training]`` table of a configuration. On the command line these flags have no prefix: ``--steps``."""

    steps: int = option(2000, "training steps, including the warm-up", min=1, max=10**9)
    planned_steps: int = option(
        AUTO, "steps that warm-up and schedules are planned for; later steps keep their last values; 0: all", min=0
    )
    batch_size: int = option(64, "sequences per batch (B)", min=1)
    noise_size: int = option(32, "size of the noise vector (Z); 0: no noise", min=0)
    seed: int = option(0, "random seed of the run", min=0, max=2**63 - 1)
    clip: float = option(5.0, "clip the gradient norm of each network to this; 0: no clipping", min=0)
    ema: float = option(
        0.0, "decay of the moving average of the generator's weights, which is saved; 0: no average", min=0, max=0.9999
    )
    prior: bool = option(
        True, "add the log token frequencies of the training split to the logits of generators and language models"
    )
    reward_weight: float = option(
        0.5, "weight of the rewards: 0 is training without them, 1 ignores the discriminator", min=0, max=1
    )
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = option(
        "float32",
        "floating-point precision on CUDA; tf32 and bf16 are faster and less exact",
        choices=("float32", "tf32", "bf16"),
    )
    compile: bool = option(
        False, "compile the networks (on CUDA: whole phases) with torch.compile; the first steps take a minute or more"
    )
    shard_optimizers: bool = option(
        False,
        "divide the state of the optimisers among the processes of torchrun, so that each takes less memory (ZeRO, "
        "stage 1)",
    )
    log_every: int = option(20, "steps between two lines of metrics.jsonl", min=1)
    evaluate_every: int = option(500, "steps between two evaluations", min=1)
    checkpoint_every: int = option(500, "steps between two checkpoints", min=1)
    keep: str = option(
        "last",
        "weights to evaluate and save: the last, or the best on the validation split",
        choices=("last", "best"),
    )
    patience: int = option(0, "stop after this many evaluations without improvement; 0: never stop early", min=0)
    on_collapse: str = option(
        "warn",
        "action when samples repeat: warn, stop, or go back to the last good checkpoint with lower learning rates",
        choices=("warn", "stop", "rollback"),
    )
    evaluation_samples: int = option(1000, "sentences to sample for the final evaluation", min=2, max=10_000_000)


class StartOptions(Options):
    """The ``[start]`` table of a configuration: the bundles that the networks come from; empty for new networks.

    :mod:`ganlm_core.bundle.start` reads these bundles and fills in the rest of the configuration.
    """

    generator: str = option("", "bundle, run, zoo:NAME or hf:OWNER/NAME@REVISION that the generator comes from")
    generator_sha256: str = option("", "SHA-256 of the SHA256SUMS of this bundle")
    discriminator: str = option("", "bundle, run, zoo:NAME or hf:OWNER/NAME@REVISION that the discriminator comes from")
    discriminator_sha256: str = option("", "SHA-256 of the SHA256SUMS of this bundle")
    grow_vocabulary: bool = option(False, "add the words of the training text that the bundle does not know")


class OptimizerOptions(Options):
    """Options of every optimiser: the learning rate and its schedule."""

    lr: float = option(0.001, "learning rate", min=0)
    schedule: str = option(
        "constant",
        "learning rate schedule after the warm-up",
        choices=("constant", "linear", "cosine"),
    )
    final_lr: float = option(
        0.0, "final learning rate of a linear or cosine schedule, as a fraction of lr", min=0, max=1
    )
    warmup_steps: int = option(0, "steps over which the learning rate rises linearly from 0 to lr", min=0)


class DecayingOptimizer(OptimizerOptions):
    weight_decay: float = option(0.0, "weight decay, as torch.optim defines it for this optimiser", min=0)


class BetaOptimizer(DecayingOptimizer):
    beta1: float = option(0.9, "decay of the first-moment estimate", min=0, max=0.9999)
    beta2: float = option(0.999, "decay of the second-moment estimate", min=0, max=0.9999)
    eps: float = option(1e-8, "added to the denominator", min=0, open=True)


class AdagradOptimizer(DecayingOptimizer):
    lr: float = option(0.01, "learning rate", min=0)


class AdadeltaOptimizer(DecayingOptimizer):
    lr: float = option(1.0, "learning rate", min=0)
    rho: float = option(0.9, "decay of the running average of squared gradients", min=0, max=1)


class RMSpropOptimizer(DecayingOptimizer):
    alpha: float = option(0.99, "decay of the running average of squared gradients", min=0, max=1)
    momentum: float = option(0.0, "momentum", min=0, max=1)


class SGDOptimizer(DecayingOptimizer):
    lr: float = option(0.1, "learning rate", min=0)
    momentum: float = option(0.9, "momentum", min=0, max=1)
    nesterov: bool = option(True, "use Nesterov momentum (Nesterov 1983)")


class LBFGSOptimizer(OptimizerOptions):
    lr: float = option(1.0, "learning rate", min=0)
    max_iter: int = option(4, "iterations per step", min=1)
    history_size: int = option(10, "past updates to keep", min=1)


OPTIMIZERS: dict[str, type[OptimizerOptions]] = {
    "adam": BetaOptimizer,
    "adamw": BetaOptimizer,
    "adagrad": AdagradOptimizer,
    "adadelta": AdadeltaOptimizer,
    "adamax": BetaOptimizer,
    "nadam": BetaOptimizer,
    "rmsprop": RMSpropOptimizer,
    "sgd": SGDOptimizer,
    "lbfgs": LBFGSOptimizer,
}
