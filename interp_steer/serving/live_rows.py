"""The rows of a live batch with the answers they write: who comes in, who leaves, one step of all of them."""

import logging
from collections.abc import Callable, Sequence

from interp_steer.errors import InterpSteerError, SteeringError
from interp_steer.model.protocol import Model
from interp_steer.model.slots import Slots
from interp_steer.serving.admission import read_prompts
from interp_steer.serving.answer import LiveAnswer, Piece
from interp_steer.serving.text_stream import TextStream
from interp_steer.serving.watch import BatchWatch
from interp_steer.steering.batch import Batch, Member, example_cache, new_member, not_numbers
from interp_steer.steering.hooks import BatchSteering

logger = logging.getLogger(__name__)


class LiveRows:
    """Rows at work; used by the thread that owns the model alone."""

    def __init__(self, model: Model, slots: int, capacity: int) -> None:
        """Reserve memory for ``slots`` rows of ``capacity`` tokens.

        Raises:
            ModelError: If a block of the model keeps fewer tokens than ``capacity``.
        """
        self._model = model
        self._batch = Batch(model, Slots(example_cache(model), slots, capacity))
        self._steering = BatchSteering((), model.device)
        self._watch = BatchWatch((), model.device)
        self._rows: dict[Member, tuple[LiveAnswer, TextStream]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def answers(self) -> tuple[LiveAnswer, ...]:
        """What is being written, those that came first in front."""
        return tuple(answer for answer, _ in self._rows.values())

    def let_go(self) -> None:
        """Take out the rows whose answers were ended from outside."""
        gone = [member for member, (answer, _) in self._rows.items() if answer.ended]
        for member in gone:
            del self._rows[member]
        self._batch.dismiss(gone)

    def take_in(self, answers: Sequence[LiveAnswer]) -> None:
        """Read the prompts of answers and give each a slot; one that cannot be read fails alone."""
        fresh = {new_member(answer.request.row, answer.request.settings): answer for answer in answers}
        self._steering = BatchSteering((one.row.interventions for one in [*self._rows, *fresh]), self._model.device)
        read, failed = read_prompts(self._model, list(fresh), self._steering)
        for member, error in failed:
            logger.warning("a prompt could not be read: %s", said(error))
            fresh[member].fail(error)
        for member, _ in read:
            self._rows[member] = (fresh[member], TextStream(self._model.chat, fresh[member].request.stop))
        watched = [answer.request.watch for answer, _ in self._rows.values()]
        self._watch = BatchWatch(watched, self._model.device)
        self._batch.admit([member for member, _ in read], [prefix for _, prefix in read])

    def decode(self, until: Callable[[], bool]) -> None:
        """Step until nobody is left, or the caller wants in between."""
        if not self._rows:
            return
        with self._model.hooks(self._watch.hooked(self._steering.functions())):
            while True:
                self._step()
                self.let_go()
                if not self._rows or until():
                    return

    def _step(self) -> None:
        members = self._batch.members
        self._watch.assign([self._rows[member][0].request.watch for member in members])
        ended = set(self._batch.step(self._steering))
        for member, before in zip(members, self._watch.cosines(), strict=True):
            answer, text = self._rows[member]
            if member in ended and member.finish is None:
                answer.fail(SteeringError(not_numbers(member.row)))
            else:
                shown = text.feed(member.tokens[-1], last=member in ended)
                _tell(answer, member, shown, before)
                if text.stopped:
                    answer.end("stop")
                elif member.finish is not None:
                    answer.end(member.finish)
            if member in ended:
                del self._rows[member]


def _tell(answer: LiveAnswer, member: Member, shown: str, before: tuple[float, ...]) -> None:
    """Add the newest token of a row to its answer; a row that began again says what was told once more, unheard."""
    place, token = len(member.tokens) - 1, member.tokens[-1]
    told = answer.token(place)
    if told is None:
        answer.put(Piece(token=token, text=shown, before=before if before and place else None))
    elif told != token:
        answer.fail(SteeringError("memory ran out, and the answer began again with other words; ask once more"))


def said(error: BaseException) -> str:
    """Return what to tell of an error: the message of ours, the kind and message of others."""
    return str(error) if isinstance(error, InterpSteerError) else f"{type(error).__name__}: {error}"
