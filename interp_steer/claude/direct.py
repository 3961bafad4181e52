"""Questions asked one by one, a few at a time."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Thread

from interp_steer.claude.budget import Budget
from interp_steer.claude.failures import RefusedError, RequestError
from interp_steer.claude.questions import Question, Reply, Usage
from interp_steer.claude.replies import reply_of
from interp_steer.claude.service import Service


@dataclass(frozen=True, kw_only=True)
class _Answered:
    """What became of a request, with the dollars that are held for it."""

    reply: Reply
    held: float
    lost: bool


@dataclass(frozen=True, kw_only=True)
class _Failed:
    """What holds for all requests, with the dollars that are held for the one it showed at."""

    error: Exception
    held: float


def ask_directly(
    questions: Iterator[Question], service: Service, budget: Budget, concurrency: int
) -> Generator[Reply, None, None]:
    """Yield one reply per question, as they come.

    A question is drawn only when it is about to be sent. The first goes alone: a key that is refused is tried once,
    and what the questions share is in the cache before the others ask for it. The threads are daemons, so that
    Ctrl-C need not wait for a request under way.

    Raises:
        CostLimitError: If the next question does not fit the budget, after all that were sent have been answered.
        JudgeError: If the service refuses all questions.
    """
    todo: SimpleQueue[tuple[Question, float] | None] = SimpleQueue()
    done: SimpleQueue[_Answered | _Failed] = SimpleQueue()
    number = budget.begin()
    for _ in range(concurrency):
        Thread(target=_work, args=(todo, done, service, budget, number), daemon=True).start()
    room, under_way, reply = 1, 0, None
    waiting = next(questions, None)
    try:
        while True:
            while waiting is not None and under_way < room:
                worst = budget.worst(waiting, batch=False)
                if not budget.hold(worst):
                    break
                todo.put((waiting, worst))
                under_way += 1
                waiting = next(questions, None)
            if reply is not None:
                yield reply
            if not under_way:
                break
            result = done.get()
            if isinstance(result, _Failed):
                if isinstance(result.error, RefusedError):
                    budget.settle(result.held, Usage())
                raise result.error
            if result.lost:
                budget.lose(result.held)
            else:
                budget.settle(result.held, result.reply.usage)
            reply = result.reply
            under_way -= 1
            room = concurrency
    finally:
        budget.end()
        for _ in range(concurrency):
            todo.put(None)
    if waiting is not None:
        raise budget.stop(1 + sum(1 for _ in questions))


def _work(
    todo: "SimpleQueue[tuple[Question, float] | None]",
    done: "SimpleQueue[_Answered | _Failed]",
    service: Service,
    budget: Budget,
    number: int,
) -> None:
    while (asked := todo.get()) is not None:
        question, held = asked
        try:
            reply = reply_of(question, service.message(question, partial(budget.hold_again, held, number)))
            # An answer that does not say what it took may have been charged all the same.
            done.put(_Answered(reply=reply, held=held, lost=reply.usage == Usage()))
        except RequestError as failed:
            reply = Reply(key=question.key, answer=None, reason=failed.reason)
            done.put(_Answered(reply=reply, held=held, lost=failed.lost))
        except Exception as error:
            done.put(_Failed(error=error, held=held))
