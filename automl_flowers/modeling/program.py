"""A program: one compiled model, reused by every trial of the same architecture.

Building, tracing and compiling a classifier takes seconds to minutes; assigning its variables
takes milliseconds. So what differs between trials of an architecture is kept in variables, and
everything a trial could leave behind is set again before the next one: weights, BatchNorm
statistics, optimizer slots, the step, the learning-rate table, dropout, L2 and the random state.
A trial on a reused program gives the same numbers as one in a fresh process.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_flowers.modeling.classifier import (
    Architecture,
    build_classifier,
    initial_head,
    split_at_boundary,
)
from automl_flowers.modeling.features import Head
from automl_flowers.modeling.traced_gradients import forget_gradients
from automl_flowers.tuning.checkpoints import State, model_part
from search_spaces.recipe import Recipe

ADAMW_WEIGHT_DECAY = 1e-4


@keras.saving.register_keras_serializable(package="automl_flowers")
class LearningRateTable(keras.optimizers.schedules.LearningRateSchedule):
    """Reads the learning rate of a step from a variable.

    Args:
        num_steps: Length of the table. Later steps use its last value.
    """

    def __init__(self, num_steps: int) -> None:
        self.table = keras.Variable(
            np.zeros(num_steps, np.float32), trainable=False, name="learning_rate_table"
        )

    def __call__(self, step: Any) -> Any:
        """Return the learning rate of `step`."""
        last = self.table.shape[0] - 1
        return ops.take(self.table, ops.minimum(ops.cast(step, "int32"), last))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"num_steps": self.table.shape[0]}


def make_optimizer(name: str, num_steps: int, ema: float = 0.0) -> keras.optimizers.Optimizer:
    """Return an optimizer whose learning rate is a table in one of its own variables.

    Args:
        name: One of `search_spaces.fine_tuning.OPTIMIZERS`.
        num_steps: Optimizer steps over the full horizon.
        ema: Momentum of a moving average of the weights; 0 for none.
    """
    table = LearningRateTable(num_steps)
    options: dict[str, Any] = {"weight_decay": ADAMW_WEIGHT_DECAY} if name == "adamw" else {}
    if ema:
        options |= {"use_ema": True, "ema_momentum": ema}
    optimizer = keras.optimizers.get(
        {"class_name": name, "config": {"learning_rate": table, **options}}
    )
    # Keras does not look for variables inside a schedule; on JAX an untracked one would be
    # frozen into the program without an error.
    optimizer._track_variable(table.table)
    return optimizer


def steps_per_execution(steps: int, limit: int) -> int:
    """Return the largest divisor of `steps` that is at most `limit`, both at least 1.

    >>> steps_per_execution(100, 32), steps_per_execution(97, 32), steps_per_execution(7, 32)
    (25, 1, 7)
    """
    return next(number for number in range(min(steps, limit), 0, -1) if steps % number == 0)


def many_steps(model: keras.Model, number: int) -> Callable[[Any], dict[str, Any]]:
    """Return a train function for `fit` that takes `number` steps in one call.

    Keras' own (`compile(steps_per_execution=...)`) wraps the steps in conditionals, which fail
    under `MirroredStrategy`; this is the loop of TensorFlow's guide to TPUs, which needs none,
    because `number` divides the steps of an epoch.

    Args:
        model: Compiled, on the TensorFlow backend.
        number: Steps a call.
    """
    import tensorflow as tf

    strategy = model.distribute_strategy

    def take_steps(iterator: Any) -> None:
        def step(done: Any) -> Any:
            strategy.run(model.train_step, args=(iterator.get_next(),))
            return done + 1

        tf.while_loop(lambda done: done < number, step, (tf.constant(0),))

    run = tf.function(take_steps, autograph=False, reduce_retracing=True)

    def train_function(iterator: Any) -> dict[str, Any]:
        run(iterator)
        return dict(model.get_metrics_result())

    return train_function


def forward_function(model: keras.Model, *, jit_compile: bool) -> Callable[[Any], Any]:
    """Return a function from a batch to what the model makes of it, on every replica.

    Args:
        model: On the TensorFlow backend.
        jit_compile: Whether XLA compiles it.
    """
    import tensorflow as tf

    def step(batch: Any) -> Any:
        return model(batch, training=False)

    if jit_compile:
        step = tf.function(step, jit_compile=True)

    def run(batch: Any) -> Any:
        return model.distribute_strategy.run(step, args=(batch,))

    return tf.function(run, autograph=False, reduce_retracing=True)  # type: ignore[no-any-return]


class Program:
    """A compiled classifier that trials take turns on.

    Args:
        architecture: What to build.
        scope: Returns the context in which variables are created, such as
            `strategy.scope`; by default none is needed.
        jit_compile: As in `keras.Model.compile`.
        max_steps_per_execution: Most training steps between two looks of the host.

    Attributes:
        architecture: What was built.
        model: The compiled `keras.Model`, from images to probabilities.
        frozen: From images to the boundary, where the frozen part ends, float16; None without
            a boundary.
        trained: From the boundary to probabilities, compiled; None without a boundary. Both
            share the layers of `model`, so a state is the same whichever was trained.
        max_steps_per_execution: As given.
    """

    def __init__(
        self,
        architecture: Architecture,
        scope: Callable[[], Any] = contextlib.nullcontext,
        *,
        jit_compile: bool | str = "auto",
        max_steps_per_execution: int = 1,
    ) -> None:
        self.architecture = architecture
        self.max_steps_per_execution = max_steps_per_execution
        with scope():
            self.model = build_classifier(architecture)
            optimizer = make_optimizer(
                architecture.optimizer, architecture.num_steps, architecture.ema
            )
            _compile(self.model, optimizer, jit_compile)
            optimizer.build(self.model.trainable_variables)
            self.frozen: Any = None
            self.trained: Any = None
            if (parts := split_at_boundary(self.model)) is not None:
                self.frozen, self.trained = parts
                _compile(self.trained, self.model.optimizer, jit_compile)
        self._forward: dict[int, Callable[[Any], Any]] = {}
        self._steps_per_execution = {id(model): 1 for model in (self.model, self.trained)}
        self._variables = _changing_variables(self.model, self._learning_rates)
        self._initial = self.get_state()

    @property
    def optimizer(self) -> Any:
        """The optimizer inside, also below a loss-scaling wrapper."""
        return getattr(self.model.optimizer, "inner_optimizer", self.model.optimizer)

    @property
    def _learning_rates(self) -> Any:
        return self.optimizer._learning_rate.table

    def start(
        self,
        recipe: Recipe,
        learning_rates: np.ndarray,
        seed: int,
        head: Head | None = None,
    ) -> None:
        """Set everything that a trial of `recipe` starts from.

        Args:
            recipe: What to train; must be of this program's architecture.
            learning_rates: One value a step, float32, at most `num_steps`.
            seed: Of the trial; draws the head if there is none to start from.
            head: What the head starts from; None for random numbers.
        """
        self.set_state(self._initial)
        layer = self.model.get_layer("head")
        num_features, num_classes = layer.kernel.shape
        if head is None:
            layer.kernel.assign(initial_head(num_features, num_classes, seed))
        else:
            layer.kernel.assign(head.kernel)
            layer.bias.assign(head.bias)
        self.set_hyperparameters(recipe, learning_rates)

    def set_hyperparameters(self, recipe: Recipe, learning_rates: np.ndarray) -> None:
        """Assign what a recipe keeps in variables."""
        self.model.get_layer("dropout").rate.assign(recipe.dropout)
        self.model.get_layer("head").l2.assign(recipe.l2)
        table = self._learning_rates
        padding = table.shape[0] - len(learning_rates)
        table.assign(np.pad(learning_rates, (0, padding), mode="edge"))

    def set_step(self, step: int) -> None:
        """Say how many steps were taken, for a state that took them in batches of another size."""
        self.optimizer._iterations.assign(step)

    def set_epoch_length(self, model: keras.Model, steps: int) -> None:
        """Run as many steps between two looks of the host as divide an epoch evenly.

        Nothing is traced again while the number stays the same.

        Args:
            model: `model` or `trained`.
            steps: Of an epoch.
        """
        number = steps_per_execution(steps, self.max_steps_per_execution)
        if number != self._steps_per_execution[id(model)]:
            self._steps_per_execution[id(model)] = number
            model.train_function = many_steps(model, number) if number > 1 else None
        model.steps_per_execution = number

    def outputs_of(self, model: keras.Model, batches: Any) -> Iterator[np.ndarray]:
        """Yield what a model makes of each batch.

        `keras.Model.predict` does the same, but keeps everything until the end.

        Args:
            model: `model`, `frozen` or `trained`.
            batches: A `tf.data.Dataset` of its inputs, of static shapes.
        """
        if keras.backend.backend() != "tensorflow":
            yield from (model.predict_on_batch(np.asarray(batch)) for batch in batches)
            return
        strategy = self.model.distribute_strategy
        if id(model) not in self._forward:
            jit_compile = bool(self.model.jit_compile)
            self._forward[id(model)] = forward_function(model, jit_compile=jit_compile)
        for batch in strategy.experimental_distribute_dataset(batches):
            with forget_gradients():
                outputs = self._forward[id(model)](batch)
            replicas = strategy.experimental_local_results(outputs)
            yield np.concatenate([np.asarray(output) for output in replicas])

    def set_random_state(self, seed: int, epoch: int) -> None:
        """Make the random numbers of an epoch a function of the trial's seed and the epoch."""
        generator = self.model.get_layer("dropout").seed_generator
        digest = hashlib.sha256(f"{seed}:{epoch}".encode()).digest()
        generator.state.assign(np.frombuffer(digest[:8], np.uint32))

    def get_state(self) -> State:
        """Return what training changes: weights of unfrozen layers and the optimizer's state."""
        return {name: np.asarray(variable) for name, variable in self._variables.items()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Assign what `get_state` returned.

        Raises:
            ValueError: If names or shapes differ: the state is of another architecture.
        """
        if state.keys() != self._variables.keys():
            differing = sorted(state.keys() ^ self._variables.keys())
            raise ValueError(
                f"The state is of another architecture: {len(differing)} variables are in one "
                f"and not in the other, for example {differing[0]!r}."
            )
        for name, variable in self._variables.items():
            variable.assign(state[name])

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """Let the moving average of the weights predict while the block runs, if there is one."""
        if not self.architecture.ema:
            yield
            return
        variables = self.model.trainable_variables
        weights = [np.array(variable) for variable in variables]
        averages = self.optimizer._model_variables_moving_average
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(average)
        try:
            yield
        finally:
            for variable, weight in zip(variables, weights, strict=True):
                variable.assign(weight)

    @property
    def initial_model_state(self) -> State:
        """What the model's variables that training changes start from."""
        return model_part(self._initial)

    def set_model_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Assign the `model_part` of a state; the optimizer starts afresh."""
        self.set_state({**self._initial, **state})


def _compile(model: keras.Model, optimizer: Any, jit_compile: bool | str) -> None:
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(),
        jit_compile=jit_compile,
    )


def _changing_variables(model: keras.Model, learning_rates: Any) -> dict[str, Any]:
    """Return the variables that training changes, numbered.

    The table of learning rates is not among them: it is as long as the size of the batches makes
    it, which need not be the same where a trial goes on.

    Keras' own names count up within a process, so they are not the same in the next one.
    """
    frozen = {
        id(variable)
        for layer in model._flatten_layers(include_self=False)
        if not layer.trainable
        for variable in layer.variables
    }
    random_state = id(model.get_layer("dropout").seed_generator.state)
    kept = [v for v in model.variables if id(v) not in frozen and id(v) != random_state]
    named = {f"model/{number:04d}": v for number, v in enumerate(kept)}
    slots = [v for v in model.optimizer.variables if v is not learning_rates]
    return named | {f"optimizer/{number:04d}": v for number, v in enumerate(slots)}


class ProgramCache:
    """Builds programs on demand and keeps the most recently used ones alive.

    A program that is dropped frees its memory before the next one is built: models, traced
    functions and optimizers refer to one another in circles, which only the garbage collector
    finds. `keras.backend.clear_session` is not called: measured over 30 programs it freed nothing
    more (what stays is freed by `traced_gradients.py`), and it resets what the living programs
    share with a user's code, such as Keras' dtype policy, counters of names, random state and
    TensorFlow's default graph.

    Args:
        build: Makes a program; called once for each architecture that is not alive.
        capacity: How many programs may be alive at once, at least 1.
    """

    def __init__(self, build: Callable[[Architecture], Program], capacity: int) -> None:
        self._build = build
        self._capacity = capacity
        self._programs: OrderedDict[Architecture, Program] = OrderedDict()
        self._last: Architecture | None = None

    def get(self, architecture: Architecture) -> Program:
        """Return the program of an architecture, building it if it is not alive."""
        self._last = architecture
        if architecture not in self._programs:
            if len(self._programs) >= self._capacity:
                self._programs.popitem(last=False)
                gc.collect()
            self._programs[architecture] = self._build(architecture)
        self._programs.move_to_end(architecture)
        return self._programs[architecture]

    def clear(self) -> bool:
        """Drop all programs, and return whether there were others than that of the last `get`."""
        had_others = any(architecture != self._last for architecture in self._programs)
        self._programs.clear()
        gc.collect()
        return had_others
