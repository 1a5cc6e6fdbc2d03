"""Settings that belong to the core rather than to a plugin: training, tokenizers and optimisers, as options."""

from ganlm_core.components import Options, option


class TrainingOptions(Options):
    """The ``[training]`` table of a configuration; on the command line without a prefix (``--steps``)."""

    steps: int = option(2000, "steps of training, warm-up included", min=1)
    batch_size: int = option(64, "sequences in a batch (B)", min=1)
    noise_size: int = option(32, "length of the noise vector (Z); 0 for none", min=0)
    seed: int = option(0, "seed of everything random", min=0, max=2**63 - 1)
    clip: float = option(5.0, "largest gradient norm of a network; 0 for no clipping", min=0)
    ema: float = option(
        0.0, "decay of the generator's moving average, which is what gets saved; 0 for none", min=0, max=1
    )
    prior: bool = option(True, "add the training data's log token frequencies to the generator's logits")
    device: str = option("auto", "auto, cpu, cuda, cuda:N or mps")
    precision: str = option(
        "float32", "arithmetic on CUDA; tf32 and bf16 trade digits for speed", choices=("float32", "tf32", "bf16")
    )
    compile: bool = option(
        False, "put the networks, on CUDA whole phases, through torch.compile: a minute or more of work at first"
    )
    log_every: int = option(20, "steps between lines of metrics.jsonl", min=1)
    evaluate_every: int = option(500, "steps between evaluations", min=1)
    checkpoint_every: int = option(500, "steps between checkpoints", min=1)
    keep: str = option(
        "last",
        "which weights are evaluated and saved: the last, or those best on the validation part",
        choices=("last", "best"),
    )
    patience: int = option(0, "evaluations without a better one, after which the run stops; 0: never", min=0)
    on_collapse: str = option(
        "warn",
        "when samples repeat: warn, stop, or go back to the last good checkpoint with lower learning rates",
        choices=("warn", "stop", "rollback"),
    )
    evaluation_samples: int = option(1000, "sentences drawn for the final evaluation", min=2)


class OptimizerOptions(Options):
    """What every optimiser takes: the learning rate and its course over the run."""

    lr: float = option(0.001, "learning rate", min=0)
    schedule: str = option(
        "constant",
        "course of the learning rate over the run, after its warm-up",
        choices=("constant", "linear", "cosine"),
    )
    final_lr: float = option(
        0.0, "share of the learning rate left at the end of a linear or cosine schedule", min=0, max=1
    )
    warmup_steps: int = option(0, "steps in which the learning rate rises from nothing", min=0)


class DecayingOptimizer(OptimizerOptions):
    weight_decay: float = option(0.0, "weight decay, as the optimiser defines it", min=0)


class BetaOptimizer(DecayingOptimizer):
    beta1: float = option(0.9, "decay of the first moment", min=0, max=0.9999)
    beta2: float = option(0.999, "decay of the second moment", min=0, max=0.9999)
    eps: float = option(1e-8, "added to the denominator", min=0)


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
    nesterov: bool = option(True, "Nesterov's form of the momentum (Nesterov 1983)")


class LBFGSOptimizer(OptimizerOptions):
    lr: float = option(1.0, "learning rate", min=0)
    max_iter: int = option(4, "evaluations of the loss in a step", min=1)
    history_size: int = option(10, "updates remembered", min=1)


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
