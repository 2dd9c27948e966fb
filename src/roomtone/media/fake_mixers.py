"""Commands about mixers, as the fake engine does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from roomtone.media.fake_objects import FakeMixer, FakeProducer, FakeRouter
from roomtone.media.fake_state import Refused
from roomtone.media.values import (
    AddMixerInput,
    AddMixerOutput,
    AddMixerSource,
    AnyResult,
    CloseMixer,
    Done,
    EngineCloseReason,
    ErrorCode,
    MediaKind,
    MixerClip,
    MixerId,
    MixerInputAdded,
    MixerInputId,
    MixerOpened,
    MixerTone,
    MixerWav,
    OpenMixer,
    Produced,
    ProducerId,
    RemoveMixerInput,
    SendMixerDtmf,
)

if TYPE_CHECKING:
    from roomtone.media.fake_state import FakeState

MixerCommand = (
    OpenMixer | AddMixerInput | AddMixerSource | RemoveMixerInput | AddMixerOutput | SendMixerDtmf | CloseMixer
)

_CODECS = {"PCMU", "PCMA", "G722", "L16", "OPUS"}
_MAX_PAYLOAD_TYPE = 127
_NOISE_CLOCK_HZ = 8_000
_PTIMES_MS = (10, 20, 40, 60)
_TICKS_MS = (10, 20)
_RATES_HZ = (8_000, 16_000, 24_000, 48_000)
_COUNTRY_LENGTH = 2


def execute(state: FakeState, command: MixerCommand) -> AnyResult:
    """Do a command about a mixer; one that is refused has no effect."""
    result: AnyResult
    match command:
        case OpenMixer():
            result = _open(state, command)
        case CloseMixer():
            state.drop_mixer(state.get(FakeMixer, command.mixer), EngineCloseReason.REQUESTED)
            result = Done()
        case AddMixerInput():
            result = _add_input(state, state.get(FakeMixer, command.mixer), command.producer)
        case AddMixerSource():
            result = _add_source(state, state.get(FakeMixer, command.mixer), command.source)
        case RemoveMixerInput():
            mixer = state.get(FakeMixer, command.mixer)
            if mixer.inputs.pop(command.input, None) is None and mixer.sources.pop(command.input, None) is None:
                raise Refused(ErrorCode.NOT_FOUND, f"no input {command.input}")
            result = Done()
        case AddMixerOutput():
            result = _add_output(state, state.get(FakeMixer, command.mixer), command)
        case SendMixerDtmf():
            result = _press(state, command)
        case _:
            assert_never(command)
    return result


def _open(state: FakeState, command: OpenMixer) -> AnyResult:
    if command.tick_ms not in _TICKS_MS:
        raise Refused(ErrorCode.INVALID, "tick_ms is none of 10, 20")
    if not state.config.audio_threads:
        raise Refused(ErrorCode.UNSUPPORTED, "no audio thread is configured")
    mixer = FakeMixer(state.new_id(), state.get(FakeRouter, command.router).id, command.tick_ms)
    state.objects[mixer.id] = mixer
    return MixerOpened(mixer=MixerId(mixer.id))


def _add_input(state: FakeState, mixer: FakeMixer, producer: int) -> AnyResult:
    state.check_source(producer, mixer.router, MediaKind.AUDIO)
    heard = state.get(FakeProducer, producer)
    if not any(codec.name.upper() in _CODECS for codec in heard.codecs):
        raise Refused(ErrorCode.UNSUPPORTED, "a mixer decodes none of the codecs of this producer")
    input_ = MixerInputId(state.new_id())
    mixer.inputs[input_] = producer
    return MixerInputAdded(input=input_)


def _add_source(state: FakeState, mixer: FakeMixer, source: MixerTone | MixerClip | MixerWav) -> AnyResult:
    match source:
        case MixerTone():
            if len(source.country) != _COUNTRY_LENGTH or source.country == "XX":
                raise Refused(ErrorCode.INVALID, f"the tones of {source.country!r} are not known")
        case MixerClip():
            if source.rate_hz not in _RATES_HZ or not source.samples or len(source.samples) % 2:
                raise Refused(ErrorCode.INVALID, "not a clip")
        case MixerWav():
            if not source.file.startswith(b"RIFF"):
                raise Refused(ErrorCode.INVALID, "this is no WAV file")
        case _:
            assert_never(source)
    input_ = MixerInputId(state.new_id())
    mixer.sources[input_] = source
    return MixerInputAdded(input=input_)


def _add_output(state: FakeState, mixer: FakeMixer, command: AddMixerOutput) -> AnyResult:
    if command.codec.name.upper() not in _CODECS:
        raise Refused(ErrorCode.UNSUPPORTED, f"a mixer does not encode {command.codec.name}")
    _check_numbers(command)
    if command.ptime_ms not in _PTIMES_MS:
        raise Refused(ErrorCode.INVALID, "ptime_ms is none of 10, 20, 40, 60")
    if command.ptime_ms < mixer.tick_ms:
        raise Refused(ErrorCode.INVALID, "ptime_ms is shorter than the mixer's tick_ms")
    producer = FakeProducer(
        state.new_id(), mixer.router, None, MediaKind.AUDIO, paused=False, codecs=[command.codec], encodings=[]
    )
    state.objects[producer.id] = producer
    mixer.outputs[producer.id] = command
    return Produced(producer=ProducerId(producer.id))


def _check_numbers(command: AddMixerOutput) -> None:
    numbers = [command.codec.payload_type]
    numbers += [one for one in (command.events_payload_type, command.noise_payload_type) if one is not None]
    if max(numbers) > _MAX_PAYLOAD_TYPE or len(set(numbers)) < len(numbers):
        raise Refused(ErrorCode.INVALID, "a payload type is above 127, or given twice")
    if command.noise_payload_type is not None and command.codec.clock_rate != _NOISE_CLOCK_HZ:
        raise Refused(ErrorCode.INVALID, "comfort noise stands beside codecs of 8 kHz only")


def _press(state: FakeState, command: SendMixerDtmf) -> AnyResult:
    mixer = next((one for one in state.find(FakeMixer) if command.output in one.outputs), None)
    if mixer is None:
        raise Refused(ErrorCode.NOT_FOUND, f"no output {command.output}")
    if mixer.outputs[command.output].events_payload_type is None:
        raise Refused(ErrorCode.WRONG_STATE, "the output has no payload type for telephone events")
    if len(command.digit) != 1 or command.digit.upper() not in "0123456789*#ABCD":
        raise Refused(ErrorCode.INVALID, "a digit is one of 0-9, *, #, A-D")
    mixer.pressed.append((command.output, command.digit))
    return Done()
