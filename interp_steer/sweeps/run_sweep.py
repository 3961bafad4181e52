"""Answer every prompt at every cell, and write each batch to the run as soon as it is decoded."""

from collections import Counter
from collections.abc import Sequence
from time import perf_counter

from interp_steer.activations.artifact import read_activations
from interp_steer.behaviors import Behavior, EvaluationPrompt
from interp_steer.files import append_records
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import Cell, Generation, ModelCard
from interp_steer.run import Run
from interp_steer.steering.rows import DecodeSettings
from interp_steer.sweeps.answers import Answer, Engine, LocalEngine, Request
from interp_steer.sweeps.directions import cell_interventions
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.rows import SweepRow, claim_model, claim_spec, rows_to_do
from interp_steer.vectors.vector import read_vectors

BARS = " ▁▂▃▄▅▆▇█"


def sweep(
    run: Run, model: Model | Engine, prompts: Sequence[EvaluationPrompt], cells: Sequence[Cell], spec: SweepSpec
) -> int:
    """Generate what is missing of ``cells x prompts x samples``; hold the run's lock while calling it.

    Rows that are already in the run are kept, so a sweep that was stopped goes on where it was.

    Args:
        run: Run directory with vectors (and activations, for the ``sign_flipped`` control).
        model: The model the vectors were made on, or an engine that has it.
        prompts: Evaluation prompts.
        cells: Points of the sweep, controls included.
        spec: Scope, length, sampling and seed; it must equal that of the rows already there.

    Returns:
        Number of generations written.

    Raises:
        RunError: If the run holds rows of another specification, or was begun with the model in another dtype
            or with another chat template; the message names the difference.
        SteeringError: If the specification does not fit the model.
        VectorError: If the vectors belong to another model.
    """
    engine = LocalEngine(model) if isinstance(model, Model) else model
    check_fits(run, engine.card, spec)
    claim_model(run, engine.card)
    behavior = run.behavior()
    done = {generation.key for generation in run.generations()}
    claim_spec(run, spec, started=bool(done))
    rows = rows_to_do(prompts, cells, spec, done)
    requests, settings = requests_of(run, rows, spec), decode_settings(spec)
    wanted = Counter(row.cell.layer for row in rows if row.cell.layer is not None)
    ready: Counter[int | None] = Counter()
    started, n_tokens = perf_counter(), 0
    with progress("generations", len(rows)) as advance:
        for batch in engine.answers(requests, settings):
            generations = [_generation(behavior, rows[place], answer) for place, answer in batch]
            append_records(run.generations_path, generations)
            ready.update(rows[place].cell.layer for place, _ in batch)
            n_tokens += sum(answer.n_tokens for _, answer in batch)
            by_layer = "".join(BARS[ready[layer] * (len(BARS) - 1) // wanted[layer]] for layer in sorted(wanted))
            advance(len(batch), f"{n_tokens / (perf_counter() - started):.0f} tokens/s  layers {by_layer}")
    return len(rows)


def check_fits(run: Run, card: ModelCard, spec: SweepSpec) -> None:
    """Refuse a specification or vectors that do not fit a model.

    Raises:
        SteeringError: If the specification does not fit the model.
        VectorError: If the vectors belong to another model.
    """
    read_vectors(run.vectors_path).check_model(card)
    spec.check(card.n_layers, card.name)


def decode_settings(spec: SweepSpec) -> DecodeSettings:
    """Return what all rows of a sweep share."""
    return DecodeSettings(
        scope=spec.scope, max_new_tokens=spec.max_new_tokens, temperature=spec.temperature, top_p=spec.top_p
    )


def requests_of(run: Run, rows: Sequence[SweepRow], spec: SweepSpec) -> list[Request]:
    """Return what an engine is asked for each row; rows of a cell share their interventions.

    Args:
        run: Run directory with vectors (and activations, for the ``sign_flipped`` control).
        rows: Rows of the sweep.
        spec: Seeds of sampling and controls, and the operation.

    Raises:
        SteeringError: If a layer has no direction, or a control lacks its activations.
    """
    vectors, behavior = read_vectors(run.vectors_path), run.behavior()
    activations = read_activations(run.activations_path) if run.activations_path.exists() else None
    pushes = {
        cell: cell_interventions(cell, vectors, activations, spec.seed, spec.operation)
        for cell in {row.cell: None for row in rows}
    }
    contexts = (None, behavior.system_prompt) if behavior.coherence.reference == "prompted" else (None,)
    return [
        Request(
            prompt=row.prompt.text,
            system=behavior.system_prompt if row.cell.control == "prompted" else None,
            interventions=pushes[row.cell],
            seed=row.seed(spec.seed),
            contexts=contexts,
        )
        for row in rows
    ]


def _generation(behavior: Behavior, row: SweepRow, answer: Answer) -> Generation:
    return Generation(
        behavior=behavior.name,
        split=row.prompt.split,
        prompt_id=row.prompt.id,
        prompt=row.prompt.text,
        cell=row.cell,
        sample=row.sample,
        text=answer.text,
        n_tokens=answer.n_tokens,
        finish=answer.finish,
        nll=answer.nll[0],
        nll_prompted=answer.nll[1] if len(answer.nll) > 1 else None,
    )
