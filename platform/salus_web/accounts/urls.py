"""Addresses of the accounts app. Names with `account_` and `mfa_` are those the sign-in library asks for."""

from django.urls import path

from salus_web.accounts import directory, factors, own, views

urlpatterns = [
    path("login/", views.sign_in, name="account_login"),
    path("login/code/", views.second, name="mfa_authenticate"),
    path("login/passkey/", views.passkey, name="mfa_login_webauthn"),
    path("login/directory/", directory.to_directory, {"provider_id": directory.PROVIDER}, name="openid_connect_login"),
    path("login/directory/back/", directory.from_directory, {"provider_id": directory.PROVIDER}, name="openid_connect_callback"),
    path("logout/", views.sign_out, name="account_logout"),
    path("again/", factors.password_again, name="account_reauthenticate"),
    path("again/code/", factors.code_again, name="mfa_reauthenticate"),
    path("again/key/", factors.key_again, name="mfa_reauthenticate_webauthn"),
    path("account/", own.account, name="mfa_index"),
    path("account/second-factor/", factors.set_up, name="factor-setup"),
    path("account/app/", factors.add_app, name="mfa_activate_totp"),
    path("account/app/remove/", factors.remove_app, name="mfa_deactivate_totp"),
    path("account/keys/", factors.add_key, name="mfa_add_webauthn"),
    path("account/keys/<int:pk>/remove/", factors.remove_key, name="mfa_remove_webauthn"),
    path("account/codes/", factors.codes, name="mfa_view_recovery_codes"),
    path("account/codes/new/", factors.new_codes, name="mfa_generate_recovery_codes"),
    path("account/password/", own.password, name="account_change_password"),
    path("invitation/<str:secret>/", own.invitation, name="invitation"),
    path("account/tokens/", own.add_token, name="token-make"),
    path("account/tokens/<uuid:token_id>/end/", own.remove_token, name="token-end"),
    path("account/sessions/<uuid:session_id>/end/", own.end_session, name="own-session-end"),
]
