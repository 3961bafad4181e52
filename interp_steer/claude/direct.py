"""Questions asked one by one, a few at a time."""

from collections.abc import Iterator
from queue import SimpleQueue
from threading import Thread

from interp_steer.claude.budget import Budget
from interp_steer.claude.questions import Question, Reply
from interp_steer.claude.replies import reply_of
from interp_steer.claude.service import RequestError, Service

Asked = tuple[Question, float]
"""A question under way, with the dollars held for it."""


def ask_directly(questions: Iterator[Question], service: Service, budget: Budget, concurrency: int) -> Iterator[Reply]:
    """Yield one reply per question, as they come.

    A question is drawn only when it is about to be sent. The first goes alone: a key that is refused is tried once,
    and what the questions share is in the cache before the others ask for it. The threads are daemons, so that
    Ctrl-C need not wait for a request under way.

    Raises:
        CostLimitError: If the next question does not fit the budget, after all that were sent have been answered.
        JudgeError: If the service refuses all questions.
    """
    todo: SimpleQueue[Asked | None] = SimpleQueue()
    done: SimpleQueue[tuple[Reply, float] | Exception] = SimpleQueue()
    for _ in range(concurrency):
        Thread(target=_work, args=(todo, done, service), daemon=True).start()
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
            if isinstance(result, Exception):
                raise result
            reply, held = result
            budget.settle(held, reply.usage, batch=False)
            under_way -= 1
            room = concurrency
    finally:
        for _ in range(concurrency):
            todo.put(None)
    if waiting is not None:
        raise budget.stop(1 + sum(1 for _ in questions))


def _work(
    todo: "SimpleQueue[Asked | None]", done: "SimpleQueue[tuple[Reply, float] | Exception]", service: Service
) -> None:
    while (asked := todo.get()) is not None:
        question, held = asked
        try:
            done.put((reply_of(question, service.message(question)), held))
        except RequestError as failed:
            # What may have been charged stays held.
            done.put((Reply(key=question.key, answer=None, reason=failed.reason), 0.0 if failed.lost else held))
        except Exception as error:
            done.put(error)
