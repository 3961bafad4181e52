"""The server's gain: requests with different interventions at once, against the same ones one at a time.

Both sides go through HTTP and the official client, to one server in this process: SmolLM2-135M, float32, random
directions, greedy. Texts end where they end; sides are compared by seconds per token, and ``equal_texts`` says how many
texts are the same.
"""

import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import Annotated, Any

import measuring
import typer
from measuring import Quick, Rounds, Threads, Timed, say, timed

app = typer.Typer(add_completion=False)


@app.command()
def main(
    requests: Annotated[int, typer.Option(min=2, help="Requests, and slots of the server.")] = 16,
    new_tokens: Annotated[int, typer.Option(min=1, help="Tokens of each completion.")] = 64,
    rounds: Rounds = 3,
    threads: Threads = 2,
    quick: Quick = False,
) -> None:
    """Time requests at once against one at a time; also the engine without HTTP, and the sweep's `decode`.

    Try:

        python benchmarks/serve.py > serve.json

        python benchmarks/serve.py --quick
    """
    measuring.begin(threads)
    if quick:
        requests, new_tokens, rounds = 4, 8, 1
    from interp_steer.model.load import load_model

    say("loading the model")
    model = load_model("smollm2-135m", device="cpu", dtype="float32")
    settings = {
        "model": model.card.name, "requests": requests, "new_tokens": new_tokens, "rounds": rounds, "quick": quick,
    }  # fmt: skip
    measuring.emit("serve", settings, **_compare(model, requests, new_tokens, rounds))


def _compare(model: Any, n: int, new_tokens: int, rounds: int) -> dict[str, Any]:
    import openai

    from interp_steer.serving.answer import LiveRequest
    from interp_steer.serving.catalog import Catalog, Steering
    from interp_steer.serving.live import LiveBatch
    from interp_steer.serving.server import running
    from interp_steer.serving.web import make_app
    from interp_steer.steering.decode import decode
    from interp_steer.steering.rows import DecodeRow, DecodeSettings

    catalog = Catalog(model.card.name, [_behavior(model)])
    wanted = [Steering(behavior="random", layer=(7 * i) % model.card.n_layers, alpha=0.2) for i in range(n)]
    prompts = [f"Write a story about {thing}." for thing in ("a lighthouse", "bread", "the moon", "a violin")]
    rows = [
        DecodeRow(
            prompt_ids=tuple(model.chat.prompt_ids(prompts[i % len(prompts)])),
            interventions=catalog.plan([push]).interventions,
        )
        for i, push in enumerate(wanted)
    ]
    forced = DecodeSettings(max_new_tokens=new_tokens, stop_early=False)
    said: dict[str, list[str]] = {}
    counted: dict[str, list[int]] = {}

    with contextlib.ExitStack() as stack:
        batch = stack.enter_context(LiveBatch(model, slots=n, capacity=512))
        url = stack.enter_context(running(make_app(batch, catalog)))
        client = stack.enter_context(openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=600))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(n))

        def ask(i: int) -> tuple[str, int]:
            reply = client.chat.completions.create(
                model=catalog.name([wanted[i]]),
                messages=[{"role": "user", "content": prompts[i % len(prompts)]}],
                temperature=0,
                max_tokens=new_tokens,
            )
            return reply.choices[0].message.content or "", reply.usage.completion_tokens if reply.usage else 0

        def through_http(name: str, each: Callable[..., Any]) -> Timed:
            def work() -> int:
                found = list(each(ask, range(n)))
                said[name], counted[name] = [text for text, _ in found], [tokens for _, tokens in found]
                return sum(counted[name])

            return timed(work)

        def engine() -> int:
            answers = batch.submit_all([LiveRequest(row=row, settings=forced) for row in rows])
            return sum(len(answer.result().ids) for answer in answers)

        def sweep() -> int:
            return sum(len(one.ids) for one in batch.call(lambda model: decode(model, rows, forced)).result())

        at_once, in_turn = f"{n} requests at once", f"{n} requests one at a time"
        sides: dict[str, Callable[[], Timed]] = {
            at_once: lambda: through_http(at_once, pool.map),
            in_turn: lambda: through_http(in_turn, map),
            "the engine without HTTP, all at once": lambda: timed(engine),
            "decode of the same rows": lambda: timed(sweep),
        }
        say("warming up")
        ask(0)
        found = measuring.interleaved(sides, rounds)
    rates, ratios = measuring.rates(found), measuring.speedups(found, at_once)
    measuring.table(
        "Serving", ("side", "tokens/s", "times the first"),
        [(name, rate, ratios.get(name, 1.0)) for name, rate in rates.items()],
    )  # fmt: skip
    return {
        "medians": {"tokens_per_second": rates},
        "ratios": {"seconds_per_token_against_at_once": ratios},
        "tokens": counted,
        "equal_texts": sum(a == b for a, b in zip(said[at_once], said[in_turn], strict=True)) / n,
    }


def _behavior(model: Any) -> Any:
    import numpy as np

    from interp_steer.records import ActivationCard, VectorCard
    from interp_steer.serving.catalog import Steerable
    from interp_steer.vectors.controls import random_direction
    from interp_steer.vectors.vector import SteeringVectors

    card = model.card
    activations = ActivationCard(model=card, behavior="random", pairs_sha256="", read_position="mean_response")
    directions = [random_direction(card.d_model, layer=layer, seed=0) for layer in range(card.n_layers)]
    vectors = SteeringVectors(
        direction=np.stack(directions).astype(np.float32),
        norm=np.ones(card.n_layers, dtype=np.float32),
        activation_norm=np.ones(card.n_layers, dtype=np.float32),
        card=VectorCard(activations=activations, method="mean_difference", n_pairs=0),
    )
    return Steerable(behavior="random", vectors=vectors, cell=None, scope="response")


if __name__ == "__main__":
    app()
