"""Rows that come and go in one batch, each with an intervention, scope, sampling and length of its own.

One thread owns the model. Between two steps it lets go of what has ended or was cancelled, and takes in what waits;
prompts are read in a pass of their own. A row's greedy tokens are those it gets alone, whoever is beside it.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import torch

from interp_steer.errors import BusyError, SteeringError, StoppedError
from interp_steer.model.protocol import Model
from interp_steer.serving.answer import LiveAnswer, LiveRequest
from interp_steer.serving.limits import check_memory, check_request
from interp_steer.serving.live_rows import LiveRows, said
from interp_steer.serving.text_stream import TextStream
from interp_steer.steering.decode import out_of_memory
from interp_steer.steering.prefixes import TOKENS_PER_READING

logger = logging.getLogger(__name__)

T = TypeVar("T")


class LiveBatch:
    """The engine: submit requests from any thread, read answers as they are written."""

    def __init__(self, model: Model, *, slots: int = 16, capacity: int = 2048, waiting: int = 64) -> None:
        """Reserve memory and start the thread that owns the model from now on; :meth:`close` ends it.

        Args:
            model: Nothing else may use it meanwhile; see :meth:`call`.
            slots: Most rows at a time; halved, and the rows begin again, where memory runs out.
            capacity: Most tokens of a row, prompt and completion together.
            waiting: Most requests that wait for a slot.

        Raises:
            ServingError: If the slots do not fit into memory, or the tokenizer cannot decode token by token.
            ModelError: If a block of the model keeps fewer tokens than ``capacity``.
        """
        self.slots, self.capacity, self.waiting = slots, capacity, waiting
        self._model = model
        check_memory(model, slots, capacity)
        TextStream(model.chat)
        self._rows = LiveRows(model, slots, capacity)
        self._lock = threading.Condition()
        self._queue: deque[LiveAnswer] = deque()
        self._calls: deque[tuple[Callable[[Model], Any], Future[Any]]] = deque()
        self._open: list[LiveAnswer] = []
        self._closed = False
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="interp-steer live batch", daemon=True)
        self._thread.start()

    @property
    def model(self) -> Model:
        """The model; its card and chat may be used from any thread, its passes through :meth:`call` alone."""
        return self._model

    @property
    def n_open(self) -> int:
        """Number of requests that are answered or wait."""
        with self._lock:
            return sum(not answer.ended for answer in self._open)

    @property
    def failure(self) -> BaseException | None:
        """What the engine died of, if it did."""
        return self._crash

    def submit(self, request: LiveRequest) -> LiveAnswer:
        """Ask for a completion; see :meth:`submit_all`."""
        return self.submit_all([request])[0]

    def submit_all(self, requests: Sequence[LiveRequest]) -> list[LiveAnswer]:
        """Ask for several completions, all or none.

        Returns:
            Their answers at once, in order; they are written as slots become free.

        Raises:
            BusyError: If more would wait than may.
            ServingError: If prompt and completion do not fit into a slot.
            StoppedError: If the engine was closed or has died.
            SteeringError: If an intervention or setting does not fit the model.
        """
        for request in requests:
            check_request(request, self._model.card, self.capacity)
        answers = [LiveAnswer(request) for request in requests]
        with self._lock:
            self._refuse_if_stopped()
            self._open = [answer for answer in self._open if not answer.ended]
            if len(self._open) + len(answers) > self.slots + self.waiting:
                raise BusyError(
                    f"{len(self._open)} requests are under way and {len(answers)} more would be too many: this engine "
                    f"answers {self.slots} at a time and lets {self.waiting} wait; try again in a moment"
                )
            self._open += answers
            self._queue = deque([*(answer for answer in self._queue if not answer.ended), *answers])
            self._lock.notify_all()
        return answers

    def call(self, work: Callable[[Model], T]) -> "Future[T]":
        """Run ``work`` with the model between two steps, with no hook attached; everybody waits meanwhile.

        Raises:
            StoppedError: If the engine was closed or has died.
        """
        future: Future[T] = Future()
        with self._lock:
            self._refuse_if_stopped()
            self._calls.append((work, future))
            self._lock.notify_all()
        return future

    def close(self) -> None:
        """Cancel what is under way and end the thread; the model is free again."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        self._thread.join()

    def __enter__(self) -> "LiveBatch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _refuse_if_stopped(self) -> None:
        if self._crash is not None:
            raise StoppedError(f"the engine has stopped: {said(self._crash)}; start it again") from self._crash
        if self._closed:
            raise StoppedError("the engine was closed; start another")

    def _work(self) -> None:
        try:
            while self._wait():
                self._run_calls()
                if not self._advance():  # here, where no traceback holds what is to be given back
                    self._begin_again()
        except BaseException as error:
            logger.exception("the engine has stopped")
            self._stop(error)
        else:
            self._stop(None)

    def _advance(self) -> bool:
        """Decode until somebody must be let in, or nobody is left; False if memory ran out."""
        try:
            self._rows.let_go()
            self._take_in()
            self._rows.decode(self._wanted)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return False
        return True

    def _wait(self) -> bool:
        """Wait until there is something to do; False once the engine is closed."""
        with self._lock:
            self._lock.wait_for(lambda: self._closed or self._queue or self._calls or self._rows)
            return not self._closed

    def _run_calls(self) -> None:
        while self._calls:
            work, future = self._calls.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work(self._model))
                except Exception as error:
                    future.set_exception(error)

    def _take_in(self) -> None:
        """Let in as many waiting requests as there are slots, some thousand tokens of prompts at a time."""
        fresh: list[LiveAnswer] = []
        n_tokens = 0
        with self._lock:
            while self._queue and len(self._rows) + len(fresh) < self.slots:
                n_tokens += len(self._queue[0].request.row.prompt_ids)
                if fresh and n_tokens > TOKENS_PER_READING:
                    break
                answer = self._queue.popleft()
                if not answer.ended:
                    fresh.append(answer)
        if fresh:
            self._rows.take_in(fresh)

    def _wanted(self) -> bool:
        return bool((self._queue and len(self._rows) < self.slots) or self._calls or self._closed)

    def _begin_again(self) -> None:
        """Go on with half the slots: every row is read anew, and what it has told is not told again."""
        at_work = self._rows.answers
        with self._lock:
            waiting = [answer for answer in self._open if not answer.ended]
        if self.slots == 1:
            for answer in at_work or waiting[:1]:
                answer.fail(SteeringError("a single row does not fit into memory; ask for less, or reserve less"))
        self.slots = max(1, min(self.slots, len(at_work)) // 2)
        logger.warning("out of memory: going on with %d rows at a time", self.slots)
        del self._rows  # before what takes its place is reserved
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()
        self._rows = LiveRows(self._model, self.slots, self.capacity)
        with self._lock:
            self._queue = deque(answer for answer in self._open if not answer.ended)

    def _stop(self, error: BaseException | None) -> None:
        with self._lock:
            self._crash, self._closed = error, True
            calls, answers = list(self._calls), self._open
            self._calls.clear()
            self._queue.clear()
            self._open = []
        reason = "the engine was closed" if error is None else f"the engine has stopped: {said(error)}"
        for answer in answers:
            if error is None:
                answer.cancel()
            else:
                answer.fail(StoppedError(reason))
        for _, future in calls:
            if future.set_running_or_notify_cancel():
                future.set_exception(StoppedError(reason))
