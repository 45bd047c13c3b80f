"""oidc-provider-mock (PyPI) as it is, with the check of PKCE that its library Authlib has and that it leaves out."""

from authlib.oauth2.rfc7636 import CodeChallenge
from oidc_provider_mock import _app
from oidc_provider_mock.__main__ import run

challenges = {}


class Check(CodeChallenge):
    """Authlib's check, of challenges that are kept here."""

    def get_authorization_code_challenge(self, authorization_code):
        return challenges[authorization_code.code][0]

    def get_authorization_code_challenge_method(self, authorization_code):
        return challenges[authorization_code.code][1]


class Grant(_app.AuthorizationCodeGrant):
    """The provider's own, which keeps challenges and checks them."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Check()(self)

    def save_authorization_code(self, code, request):
        data = request.payload.data
        challenges[code] = data.get("code_challenge"), data.get("code_challenge_method")
        super().save_authorization_code(code, request)


_app.AuthorizationCodeGrant = Grant
run()
