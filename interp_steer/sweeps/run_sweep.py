"""Answer every prompt at every cell, and write each batch to the run as soon as it is decoded."""

from collections.abc import Callable, Iterator, Sequence
from time import perf_counter

from interp_steer.activations.artifact import read_activations
from interp_steer.likelihood import mean_nll
from interp_steer.model.protocol import Model
from interp_steer.progress import progress
from interp_steer.records import Behavior, Cell, EvaluationPrompt, Generation
from interp_steer.run import Run, append_records
from interp_steer.steering.decode import Completion, DecodeRow, DecodeSettings
from interp_steer.sweeps.directions import cell_interventions
from interp_steer.sweeps.engines.local import local_engine
from interp_steer.sweeps.grid import SweepSpec
from interp_steer.sweeps.rows import SweepRow, claim_model, claim_spec, rows_to_do
from interp_steer.vectors.vector import SteeringVectors, read_vectors

Engine = Callable[[Model, Sequence[DecodeRow], DecodeSettings, int], Iterator[list[tuple[int, Completion]]]]
BATCH_SIZE = 64


def sweep(
    run: Run,
    model: Model,
    prompts: Sequence[EvaluationPrompt],
    cells: Sequence[Cell],
    spec: SweepSpec,
    *,
    engine: Engine = local_engine,
    batch_size: int = BATCH_SIZE,
) -> int:
    """Generate what is missing of ``cells x prompts x samples``; hold the run's lock while calling it.

    Rows that are already in the run are kept, so a sweep that was stopped goes on where it was.

    Args:
        run: Run directory with vectors (and activations, for the ``sign_flipped`` control).
        model: The model the vectors were made on.
        prompts: Evaluation prompts.
        cells: Points of the sweep, controls included.
        spec: Scope, length, sampling and seed; it must equal that of the rows already there.
        engine: How rows become completions.
        batch_size: Rows decoded together.

    Returns:
        Number of generations written.

    Raises:
        RunError: If the run holds rows of another specification, or was begun with the model in another dtype
            or with another chat template; the message names the difference.
        SteeringError: If the specification does not fit the model.
        VectorError: If the vectors belong to another model.
    """
    vectors = read_vectors(run.vectors_path)
    vectors.check_model(model.card)
    spec.check(model.card.n_layers, model.card.name)
    claim_model(run, model.card)
    behavior = run.behavior()
    done = {generation.key for generation in run.generations()}
    claim_spec(run, spec, started=bool(done))
    rows = rows_to_do(prompts, cells, spec, done)
    settings = DecodeSettings(
        scope=spec.scope, max_new_tokens=spec.max_new_tokens, temperature=spec.temperature, top_p=spec.top_p
    )
    started, n_tokens = perf_counter(), 0
    with progress("generations", len(rows)) as advance:
        for batch in engine(model, _decode_rows(run, model, behavior, vectors, rows, spec), settings, batch_size):
            members, completions = [rows[place] for place, _ in batch], [completion for _, completion in batch]
            append_records(run.generations_path, _generations(model, behavior, members, completions))
            n_tokens += sum(len(completion.ids) for completion in completions)
            advance(len(batch), f"{n_tokens / (perf_counter() - started):.0f} tokens/s")
    return len(rows)


def _decode_rows(
    run: Run, model: Model, behavior: Behavior, vectors: SteeringVectors, rows: Sequence[SweepRow], spec: SweepSpec
) -> list[DecodeRow]:
    activations = read_activations(run.activations_path) if run.activations_path.exists() else None
    pushes = {
        cell: cell_interventions(cell, vectors, activations, spec.seed) for cell in {row.cell: None for row in rows}
    }
    return [
        DecodeRow(
            prompt_ids=_prompt_ids(model, behavior, row, prompted=row.cell.control == "prompted"),
            interventions=pushes[row.cell],
            seed=row.seed(spec.seed),
        )
        for row in rows
    ]


def _prompt_ids(model: Model, behavior: Behavior, row: SweepRow, *, prompted: bool) -> tuple[int, ...]:
    return tuple(model.chat.prompt_ids(row.prompt.text, behavior.system_prompt if prompted else None))


def _generations(
    model: Model, behavior: Behavior, rows: Sequence[SweepRow], completions: Sequence[Completion]
) -> list[Generation]:
    ids = [completion.ids for completion in completions]

    def nll(*, prompted: bool) -> list[float | None]:
        return mean_nll(model, [_prompt_ids(model, behavior, row, prompted=prompted) for row in rows], ids)

    plain = nll(prompted=False)
    asked = nll(prompted=True) if behavior.coherence.reference == "prompted" else [None] * len(rows)
    return [
        Generation(
            behavior=behavior.name,
            split=row.prompt.split,
            prompt_id=row.prompt.id,
            prompt=row.prompt.text,
            cell=row.cell,
            sample=row.sample,
            text=model.chat.decode(list(completion.ids)),
            n_tokens=len(completion.ids),
            finish=completion.finish,
            nll=plain[i],
            nll_prompted=asked[i],
        )
        for i, (row, completion) in enumerate(zip(rows, completions, strict=True))
    ]
