from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from roomtone.protocols.sip.digest import (
    STRONGEST_FIRST,
    Algorithm,
    AnswerFailure,
    Challenge,
    Credentials,
    DigestClient,
    DigestPolicy,
    DigestServer,
    Login,
    Qop,
    Secret,
    Verdict,
    answer_challenge,
    parse_challenges,
    parse_credentials,
    secret_hash,
)
from roomtone.protocols.sip.digest.hooks import DigestAuthenticator, DigestGuard
from roomtone.protocols.sip.flow import Flow, Transport
from roomtone.protocols.sip.headers import Address
from roomtone.protocols.sip.message import Headers, Request, Response, build_request, respond

MD5, SHA_256, SHA_512_256 = Algorithm
REALM = "example.org"
NOW = 1_700_000_000_000


# RFC 7616, 3.9.1; 3.9.2 as corrected by erratum 4897 (the RFC has a draft's SHA-512/256); RFC 2617, 3.5
@pytest.mark.parametrize(
    ("algorithm", "login", "realm", "nonce", "cnonce", "uri", "response"),
    [
        (
            MD5,
            Login("Mufasa", "Circle of Life"),
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "/dir/index.html",
            "8ca523f5e9506fed4657c9700eebdbec",
        ),
        (
            SHA_256,
            Login("Mufasa", "Circle of Life"),
            "http-auth@example.org",
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            "/dir/index.html",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
        (
            SHA_512_256,
            Login("Jäsøn Doe", "Secret, or not?"),
            "api@example.org",
            "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
            "/doe.json",
            "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
        ),
        (
            MD5,
            Login("Mufasa", "Circle Of Life"),
            "testrealm@host.com",
            "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            "0a4f113b",
            "/dir/index.html",
            "6629fae49393a05397450978507c4ef1",
        ),
    ],
)
def test_the_examples_of_the_rfcs_come_out(
    *, algorithm: Algorithm, login: Login, realm: str, nonce: str, cnonce: str, uri: str, response: str
) -> None:
    request = Request("GET", uri, Headers([]))
    challenge = Challenge(realm, nonce, algorithm, qop=(Qop.AUTH,))
    assert answer_challenge(challenge, login, request, 1, cnonce).response == response


def test_challenges_are_read_in_any_arrangement() -> None:
    headers = Headers([
        b'WWW-Authenticate: Digest realm="a, b", nonce="n\\"1", qop="auth,auth-int,new", algorithm=SHA-256, stale=TRUE',
        b'WWW-Authenticate: Basic realm="x", Digest  realm = "c" ,nonce="n2", opaque=o/p==, digest realm="d",nonce=n3',
        b'WWW-Authenticate: Digest realm="e", nonce="n", algorithm=WHIRLPOOL',
        b"WWW-Authenticate: NoOneKnowsThisScheme opaque-data=here",
        b'WWW-Authenticate: Digest realm="f", nonce="n", qop="other"',
        b"WWW-Authenticate: garbage",
        b'WWW-Authenticate: Digest realm="g", nonce="n", algorithm=md5-SESS',
    ])  # fmt: skip
    assert parse_challenges(headers, "WWW-Authenticate") == [
        Challenge("a, b", 'n"1', SHA_256, qop=(Qop.AUTH, Qop.AUTH_INT), stale=True),
        Challenge("c", "n2", opaque="o/p=="),
        Challenge("d", "n3"),
        Challenge("g", "n", MD5, session=True),
    ]
    for challenge in parse_challenges(headers, "www-authenticate"):
        again = Headers([b"WWW-Authenticate: " + challenge.serialize().encode()])
        assert parse_challenges(again, "WWW-Authenticate") == [challenge]


def register(uri: str = f"sip:{REALM}", method: str = "REGISTER", body: bytes = b"") -> Request:
    return build_request(
        method,
        uri,
        from_=Address(f"sip:alice@{REALM}").with_tag("1"),
        to=Address(f"sip:alice@{REALM}"),
        call_id="c",
        cseq=1,
        content_type="text/plain" if body else None,
        body=body,
    )


def challenge(server: DigestServer, request: Request, now: int, **how: object) -> Response:
    offered = server.challenges(now, **how)  # type: ignore[arg-type]
    return respond(request, 401, headers=[("WWW-Authenticate", one.serialize()) for one in offered])


def authorized(request: Request, answers: list[tuple[str, str]] | AnswerFailure) -> Request:
    assert isinstance(answers, list), answers
    again = request.copy()
    for name, value in answers:
        again.headers.set(name, value)
    return again


def a_client(password: str = "pw", order: tuple[Algorithm, ...] = STRONGEST_FIRST, **more: bool) -> DigestClient:
    words = count()
    return DigestClient(Login("alice", password), lambda: f"cn{next(words)}", order, **more)


def a_server(**policy: object) -> DigestServer:
    return DigestServer(DigestPolicy(REALM, **policy), b"k" * 32)  # type: ignore[arg-type]


def verdict(server: DigestServer, request: Request, now: int, secret: Secret | None = Secret("pw")) -> Verdict:  # noqa: B008
    credentials = server.credentials(request)
    if isinstance(credentials, Verdict):
        return credentials
    return server.verify(credentials, request, secret, now)


@pytest.mark.parametrize("qop", [(), (Qop.AUTH,), (Qop.AUTH_INT,), (Qop.AUTH, Qop.AUTH_INT)])
@pytest.mark.parametrize("order", [(one,) for one in STRONGEST_FIRST] + [STRONGEST_FIRST, (MD5, SHA_256)])
def test_client_and_server_agree(order: tuple[Algorithm, ...], qop: tuple[Qop, ...]) -> None:
    server, client = a_server(order=order, qop=qop), a_client()
    request = register(body=b"what is signed")
    assert verdict(server, request, NOW) is Verdict.NO_CREDENTIALS
    answer = client.answer(challenge(server, request, NOW), request)
    signed = authorized(request, answer)
    credentials = server.credentials(signed)
    assert isinstance(credentials, Credentials)
    assert credentials.algorithm is min(order, key=STRONGEST_FIRST.index)
    assert credentials.qop is (qop[0] if qop else None)
    assert verdict(server, signed, NOW + 5) is Verdict.ACCEPTED
    hashed = Secret(hashes={one: secret_hash(one, "alice", REALM, "pw") for one in Algorithm})
    again = authorized(request, client.known(request)) if qop else signed
    assert verdict(server, again, NOW + 6, hashed) is (Verdict.ACCEPTED if qop else Verdict.REPLAYED)


def test_the_body_is_signed_when_asked_for() -> None:
    server, client = a_server(qop=(Qop.AUTH, Qop.AUTH_INT)), a_client(integrity=True)
    request = register(body=b"pay 10")
    signed = authorized(request, client.answer(challenge(server, request, NOW), request))
    changed = signed.copy()
    changed.body = b"pay 99"
    assert verdict(server, changed, NOW) is Verdict.WRONG
    assert verdict(server, signed, NOW) is Verdict.ACCEPTED


def test_wrong_passwords_and_unknown_accounts_look_alike() -> None:
    server = a_server()
    request = register()
    signed = authorized(request, a_client("guess").answer(challenge(server, request, NOW), request))
    assert verdict(server, signed, NOW) is Verdict.WRONG
    assert verdict(server, signed, NOW, None) is Verdict.WRONG
    assert Verdict.WRONG.is_failure
    assert not Verdict.NO_CREDENTIALS.is_failure


def test_a_request_that_was_heard_on_the_way_cannot_be_sent_again() -> None:
    server, client = a_server(), a_client()
    request = register()
    first = authorized(request, client.answer(challenge(server, request, NOW), request))
    later = [authorized(request, client.known(request)) for _ in range(100)]
    assert verdict(server, first, NOW) is Verdict.ACCEPTED
    assert verdict(server, first, NOW) is Verdict.REPLAYED
    assert verdict(server, later[5], NOW) is Verdict.ACCEPTED
    assert verdict(server, later[3], NOW) is Verdict.ACCEPTED  # overtaken on the way
    assert verdict(server, later[3], NOW) is Verdict.REPLAYED
    assert verdict(server, later[99], NOW) is Verdict.ACCEPTED
    assert verdict(server, later[6], NOW) is Verdict.REPLAYED  # too far behind to be known
    assert verdict(server, later[98], NOW) is Verdict.ACCEPTED
    assert Verdict.REPLAYED.asks_again


def test_nonces_age_and_are_ours() -> None:
    server, client = a_server(nonce_life_ms=1_000), a_client()
    request = register()
    signed = authorized(request, client.answer(challenge(server, request, NOW), request))
    assert verdict(server, signed, NOW + 1_001) is Verdict.STALE
    assert verdict(server, signed, NOW - 1) is Verdict.STALE
    other = DigestServer(server.policy, b"another key")
    assert verdict(other, signed, NOW) is Verdict.BAD_NONCE
    assert verdict(DigestServer(server.policy, b"k" * 32), signed, NOW) is Verdict.ACCEPTED  # a second server
    credentials = server.credentials(signed)
    assert isinstance(credentials, Credentials)
    for nonce in ("x", "ü", credentials.nonce + "=", credentials.nonce[:-1], credentials.nonce[:-1] + "*", "a" * 5_000):
        assert server.verify(replace(credentials, nonce=nonce), signed, Secret("pw"), NOW) is Verdict.BAD_NONCE


def test_counts_are_bounded_and_what_is_forgotten_is_stale_not_believed() -> None:
    server = a_server(counted_nonces=3, nonce_life_ms=1_000)
    request = register()
    signed = [
        authorized(request, a_client().answer(challenge(server, request, NOW + at), request)) for at in range(5)
    ]  # each with a nonce of its own
    for at in range(4):
        assert verdict(server, signed[at], NOW + 10) is Verdict.ACCEPTED
    assert server.forgotten == 1
    assert verdict(server, signed[0], NOW + 10) is Verdict.STALE
    assert verdict(server, signed[3], NOW + 10) is Verdict.REPLAYED
    assert verdict(server, signed[4], NOW + 1_004) is Verdict.ACCEPTED  # those too old make room for nothing
    assert server.forgotten == 1


def test_the_signed_uri_may_be_written_otherwise() -> None:
    server, client = a_server(), a_client()
    here = {"192.0.2.1"}
    for asked, signed, ours, want in (
        (f"sip:{REALM}", f"sip:{REALM.upper()}", False, Verdict.ACCEPTED),
        (f"sip:{REALM}", f"sip:{REALM}:5060", False, Verdict.ACCEPTED),
        (f"sip:bob@{REALM}", f"sip:{REALM}:5060", False, Verdict.ACCEPTED),
        (f"sip:bob@{REALM}", "sip:192.0.2.1:5060", False, Verdict.OTHER_URI),
        (f"sip:bob@{REALM}", "sip:192.0.2.1:5060", True, Verdict.ACCEPTED),
        (f"sip:bob@{REALM}", f"sip:carol@{REALM}", True, Verdict.OTHER_URI),
        (f"sip:bob@{REALM}", "no uri", True, Verdict.OTHER_URI),
    ):
        request = register(asked, "INVITE")
        told = register(signed, "INVITE") if signed != "no uri" else Request("INVITE", signed, request.headers)
        answer = client.answer(challenge(server, request, NOW), told)
        sent = authorized(request, answer)
        credentials = server.credentials(sent)
        assert isinstance(credentials, Credentials)
        got = server.verify(credentials, sent, Secret("pw"), NOW, lambda uri, ours=ours: ours and uri.address in here)
        assert got is want, (asked, signed)


def test_an_account_can_be_limited_to_one_algorithm() -> None:
    server = a_server()
    request = register()
    response = challenge(server, request, NOW, algorithms=(MD5,))
    assert [one.algorithm for one in parse_challenges(response.headers, "WWW-Authenticate")] == [MD5]
    signed = authorized(request, a_client().answer(response, request))
    assert verdict(server, signed, NOW, Secret("pw", algorithms=(SHA_256,))) is Verdict.WRONG
    assert verdict(server, signed, NOW, Secret("pw", algorithms=(MD5,))) is Verdict.ACCEPTED
    only = a_server(order=(SHA_256,))
    assert verdict(only, signed, NOW) is Verdict.ALGORITHM_REFUSED


def test_a_client_gives_up_when_it_should() -> None:
    server, client = a_server(order=(MD5,)), a_client("wrong")
    request = register()
    first = challenge(server, request, NOW)
    signed = authorized(request, client.answer(first, request))
    assert client.answer(challenge(server, request, NOW + 1), signed) is AnswerFailure.REJECTED
    # credentials sent before a challenge may have run out without a word of it: one more try
    early = authorized(request, client.known(request))
    once_more = authorized(request, client.answer(challenge(server, request, NOW + 2), early))
    assert client.answer(challenge(server, request, NOW + 3), once_more) is AnswerFailure.REJECTED
    for _ in range(3):
        once_more = authorized(request, client.answer(challenge(server, request, NOW, stale=True), once_more))
    assert client.answer(challenge(server, request, NOW, stale=True), once_more) is AnswerFailure.REJECTED
    assert a_client(order=(SHA_256,)).answer(first, request) is AnswerFailure.ALGORITHM_REFUSED
    assert a_client().answer(respond(request, 401), request) is AnswerFailure.NO_CHALLENGE
    stranger = DigestClient(Login("alice", "pw", realm="other"), lambda: "c")
    assert stranger.answer(first, request) is AnswerFailure.REALM_UNKNOWN


def test_several_realms_are_answered_at_once() -> None:
    request = register(method="INVITE")
    response = respond(
        request,
        407,
        headers=[
            ("Proxy-Authenticate", Challenge("p1", "n1", MD5, qop=(Qop.AUTH,)).serialize()),
            ("Proxy-Authenticate", Challenge("p1", "n1", SHA_256, qop=(Qop.AUTH,)).serialize()),
            ("Proxy-Authenticate", Challenge("p2", "n2", MD5).serialize()),
            ("WWW-Authenticate", Challenge("u", "n3", SHA_512_256).serialize()),
        ],
    )
    client = a_client()
    answers = client.answer(response, request)
    assert isinstance(answers, list)
    sent = Headers([f"{name}: {value}".encode() for name, value in answers])
    first = parse_credentials(sent, "Proxy-Authorization", "p1")
    second = parse_credentials(sent, "Proxy-Authorization", "p2")
    third = parse_credentials(sent, "Authorization", "u")
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.algorithm, second.algorithm, third.algorithm) == (SHA_256, MD5, SHA_512_256)
    assert len(client.known(request)) == 3


def test_a_client_remembers_so_many_realms() -> None:
    client, request = a_client(), register()
    for at in range(40):
        client.answer(
            respond(request, 401, headers=[("WWW-Authenticate", Challenge(str(at), "n").serialize())]), request
        )
    assert len(client.known(request)) == 16


@pytest.mark.parametrize(
    "value",
    [
        'Digest realm="example.org", nonce="n", uri="u", response="0123"',
        f'Digest username="a", realm="example.org", nonce="n", uri="u", response="{"0" * 32}", qop=auth',
        f'Digest username="a", realm="example.org", nonce="n", uri="u", response="{"0" * 32}", qop=maybe',
        f'Digest username="a", realm="example.org", nonce="n", uri="u", response="{"z" * 32}"',
        'Digest username="a", realm="example.org',
        'Digest username="a", realm="example.org", nonce',
    ],
)
def test_credentials_that_cannot_be_read_are_malformed(value: str) -> None:
    request = register()
    request.headers.add("Authorization", value)
    assert a_server().credentials(request) in {Verdict.MALFORMED, Verdict.NO_CREDENTIALS}
    assert a_server().credentials(request) is Verdict.MALFORMED or "realm" not in value


def test_other_schemes_are_no_credentials() -> None:
    request = register()
    request.headers.add("Authorization", "NoOneKnowsThisScheme opaque-data=here")  # RFC 4475, 3.3.7
    assert a_server().credentials(request) is Verdict.NO_CREDENTIALS


def test_the_hooks_of_a_user_agent_agree() -> None:
    clock = [NOW]
    heard = []
    guard = DigestGuard(
        a_server(),
        lambda: clock[0],
        {"alice": Secret("pw")}.get,
        let_pass=lambda _, flow: flow.remote_host == "192.0.2.77",
        on_verdict=lambda verdict, _: heard.append(verdict),
    )
    flow = Flow(Transport.UDP, "192.0.2.9", 5060, "192.0.2.1", 5060)
    for method, status, asking in (("REGISTER", 401, "WWW-Authenticate"), ("INVITE", 407, "Proxy-Authenticate")):
        request = register(method=method)
        refused = guard.check(request, flow)
        assert refused is not None
        assert refused[0] == status
        lines = refused[1].decode().rstrip().split("\r\n")
        assert [line.partition(":")[0] for line in lines] == [asking] * 3
        response = respond(request, status, headers=[tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]
        hook, owner = DigestAuthenticator(a_client()), object()
        block = hook.answer(request, response, owner)
        assert block is not None
        for line in block.decode().rstrip().split("\r\n"):
            request.headers.add(*line.split(": ", 1))
        assert guard.check(request, flow) is None
        assert guard.username(request) == "alice"
        replayed = guard.check(request, flow)
        assert replayed is not None
        assert b"stale=true" in replayed[1]
        # refused once more for the same request, and not stale: the password is wrong
        assert hook.answer(request, response, owner) is None
        assert hook.failure is AnswerFailure.REJECTED
    assert heard == [Verdict.NO_CREDENTIALS, Verdict.ACCEPTED, Verdict.REPLAYED] * 2
    assert guard.check(register(), flow._replace(remote_host="192.0.2.77")) is None
    assert guard.username(register()) is None
