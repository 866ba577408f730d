"""Texts with a secret or a person in them, made when asked for: a repository that held them would trip every scanner.

A template says with `<code length>` where the secret stands, and of which characters it is: see `LETTERS`. What stands around it, a
prefix such as "glpat-" among it, is public and may stay. The formats were taken from what the providers and the lists of secret
scanners say of them, before any rule was written.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from string import ascii_letters, ascii_lowercase, ascii_uppercase, digits

LETTERS = {
    "d": digits,
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "l": ascii_lowercase + digits,
    "u": ascii_uppercase + digits,
    "b": ascii_letters + digits,
    "w": ascii_letters + digits + "_-",
    "B": ascii_letters + digits + "+/",
    "m": ascii_lowercase,
}
_PLACE = re.compile(r"<([a-zA-Z]+)(\d+)>")
SYMBOLS = "!#$%^*+-_.~"


@dataclass(frozen=True)
class Planted:
    kind: str
    text: str
    parts: tuple[str, ...]
    """Of which nothing may be seen: secret bodies, names and addresses of people."""


def _body(code: str, length: int, rng: Random) -> str:
    if code == "p":  # a password by a generator: letters, digits and symbols
        must = rng.choice(ascii_letters) + rng.choice(digits) + rng.choice(SYMBOLS)
        return must + "".join(rng.choice(ascii_letters + digits + SYMBOLS) for _ in range(length - 3))
    if code == "s":  # a password by a person: a word and digits
        return rng.choice(("hunter", "Sommer", "dragon", "welcome", "Monkey")) + "".join(rng.choices(digits, k=length))
    if code == "uuid":
        return "-".join("".join(rng.choices(LETTERS["h"], k=n)) for n in (8, 4, 4, 4, 12))
    if code == "userpass":
        return base64.b64encode(f"robot:{_body('p', length, rng)}".encode()).decode()
    return "".join(rng.choices(LETTERS[code], k=length))


def fill(template: str, rng: Random) -> tuple[str, tuple[str, ...]]:
    """The text of a template, and the secrets in it."""
    parts: list[str] = []

    def draw(found: re.Match[str]) -> str:
        parts.append(_body(found[1], int(found[2]), rng))
        return parts[-1]

    return _PLACE.sub(draw, template), tuple(parts)


TOKENS: tuple[tuple[str, str], ...] = (
    ("GitLab personal token", "glpat-<w20>"),
    ("GitLab routable token", "glpat-<w27>.0<h1>.<l9>"),
    ("GitLab deploy token", "gldt-<w20>"),
    ("GitLab runner token", "glrt-<w20>"),
    ("GitLab trigger token", "glptt-<h40>"),
    ("GitLab job token", "glcbt-64_<w20>"),
    ("GitLab agent token", "glagent-<w50>"),
    ("GitHub classic token", "ghp_<b36>"),
    ("GitHub app token", "ghs_<b36>"),
    ("GitHub refresh token", "ghr_<b76>"),
    ("GitHub fine-grained token", "github_pat_<b22>_<b59>"),
    ("npm token", "npm_<b36>"),
    ("PyPI token", "pypi-AgEIcHlwaS5vcmc<w80>"),
    ("RubyGems key", "rubygems_<h48>"),
    ("NuGet key", "oy2<l43>"),
    ("crates.io token", "cio<b32>"),
    ("Docker Hub token", "dckr_pat_<w27>"),
    ("OpenAI legacy key", "sk-<b20>T3BlbkFJ<b20>"),
    ("OpenAI project key", "sk-proj-<w74>T3BlbkFJ<w74>"),
    ("OpenAI service account key", "sk-svcacct-<w60>"),
    ("Anthropic key", "sk-ant-api03-<w93>AA"),
    ("OpenRouter key", "sk-or-v1-<h64>"),
    ("Hugging Face token", "hf_<b34>"),
    ("Groq key", "gsk_<b52>"),
    ("xAI key", "xai-<b80>"),
    ("Perplexity key", "pplx-<b48>"),
    ("Replicate token", "r8_<b37>"),
    ("SendGrid key", "SG.<w22>.<w43>"),
    ("Mailgun key", "key-<h32>"),
    ("Mailchimp key", "<h32>-us12"),
    ("Brevo key", "xkeysib-<h64>-<b16>"),
    ("Resend key", "re_<b8>_<b24>"),
    ("Postmark token", "X-Postmark-Server-Token: <uuid36>"),
    ("Twilio key", "SK<h32>"),
    ("Slack bot token", "xoxb-<d12>-<d13>-<b24>"),
    ("Slack user token", "xoxp-<d12>-<d12>-<d12>-<h32>"),
    ("Slack app token", "xapp-1-A<u10>-<d13>-<h64>"),
    ("Slack webhook", "https://hooks.slack.com/services/T<u8>/B<u10>/<b24>"),
    ("Slack workflow webhook", "https://hooks.slack.com/workflows/T<u8>/A<u8>/<d18>/<b24>"),
    ("Discord webhook", "https://discord.com/api/webhooks/1<d17>/<w68>"),
    ("Discord bot token", "M<b23>.<w6>.<w27>"),
    ("Telegram bot token", "<d10>:AA<w33>"),
    ("Teams webhook", "https://contoso.webhook.office.com/webhookb2/<uuid36>@<uuid36>/IncomingWebhook/<h32>/<uuid36>"),
    ("Google Chat webhook", "https://chat.googleapis.com/v1/spaces/AAAAx/messages?key=AIza<w35>&token=<w43>"),
    ("Zapier webhook", "https://hooks.zapier.com/hooks/catch/1234567/<l7>/"),
    ("Google API key", "AIza<w35>"),
    ("Google access token", "ya29.a0<w120>"),
    ("Google refresh token", "1//0g<w60>"),
    ("Google client secret", "GOCSPX-<w28>"),
    ("AWS key id", "AKIA<u16>"),
    ("AWS temporary key id", "ASIA<u16>"),
    ("Azure client secret", "<b3>8Q~<w34>"),
    ("Azure storage key", "AccountKey=<B86>=="),
    ("Azure DevOps token", "AZURE_DEVOPS_EXT_PAT=<l52>"),
    ("Alibaba key id", "LTAI<b20>"),
    ("DigitalOcean token", "dop_v1_<h64>"),
    ("Heroku key", "HRKU-<uuid36>"),
    ("Fly token", "FlyV1 fm2_<B120>"),
    ("Netlify token", "nfp_<b36>"),
    ("Supabase token", "sbp_<h40>"),
    ("Supabase secret key", "sb_secret_<w31>"),
    ("PlanetScale password", "pscale_pw_<w43>"),
    ("Databricks token", "dapi<h32>"),
    ("Pulumi token", "pul-<h40>"),
    ("Terraform Cloud token", "<b14>.atlasv1.<w67>"),
    ("Vault token", "hvs.<w90>"),
    ("Vault batch token", "hvb.<w138>"),
    ("Doppler token", "dp.pt.<b43>"),
    ("1Password service account", "ops_eyJ<b260>"),
    ("age key", "AGE-SECRET-KEY-1QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L<u26>"),
    ("Stripe live key", "sk_live_<b24>"),
    ("Stripe restricted key", "rk_live_<b99>"),
    ("Stripe test key", "sk_test_<b24>"),
    ("Stripe webhook secret", "whsec_<b32>"),
    ("Square secret", "sq0csp-<w43>"),
    ("Shopify token", "shpat_<h32>"),
    ("Plaid token", "access-production-<uuid36>"),
    ("Flutterwave key", "FLWSECK-<h32>-X"),
    ("JWT", "eyJ<b33>.eyJ<b60>.<w43>"),
    ("unsigned JWT", "eyJ<b33>.eyJ<b60>."),
    ("New Relic key", "NRAK-<u27>"),
    ("Grafana service account", "glsa_<b32>_<h8>"),
    ("Grafana cloud token", "glc_eyJ<b120>"),
    ("Dynatrace token", "dt0c01.<u24>.<u64>"),
    ("Sentry token", "sntrys_eyJ<b100>_<b43>"),
    ("Sentry DSN", "https://<h32>@o123456.ingest.sentry.io/4505"),
    ("Honeycomb key", "hcaik_<l58>"),
    ("Linear key", "lin_api_<b40>"),
    ("Notion token", "ntn_<b46>"),
    ("Airtable token", "pat<b14>.<h64>"),
    ("Atlassian token", "ATATT3xFfGF0<w180>=<H8>"),
    ("Bitbucket app password", "ATBB<b32>"),
    ("Figma token", "figd_<w40>"),
    ("Postman key", "PMAK-<h24>-<h34>"),
    ("HubSpot token", "pat-na1-<uuid36>"),
    ("CircleCI token", "CCIPAT_<b22>_<h40>"),
    ("Buildkite token", "bkua_<h40>"),
    ("SonarQube token", "squ_<h40>"),
    ("JFrog key", "AKCp<b69>"),
    ("Tailscale key", "tskey-auth-<b17>-<b32>"),
    ("Mapbox secret token", "sk.eyJ<b60>.<w22>"),
    ("Contentful token", "CFPAT-<w43>"),
    ("Okta token", "Authorization: SSWS 00<w40>"),
    ("Splunk token", "Authorization: Splunk <uuid36>"),
    ("Facebook token", "EAAG<b120>"),
    ("Prefect key", "pnu_<b36>"),
    ("Sourcegraph token", "sgp_<h16>_<h40>"),
    ("EasyPost key", "EZAK<b54>"),
    ("a provider nobody knows", "acmepay_live_<b40>"),
)  # fmt: skip
"""Secrets that are told by their own shape."""

AROUND: tuple[str, ...] = (
    "calling upstream with {} failed",
    '{{"message": "sent {}", "n": 3}}',
    "got: {}",
    "({})",
    "value={} attempt=2",
    "first,{},last",
    "could not use '{}'.",
    "see {}, then try again",
    '{{\\"payload\\": \\"{}\\"}}',
    "{}",
)
"""What a token may stand in."""

NAMED: tuple[tuple[str, str], ...] = (
    ("password variable", "DB_PASS=<p16>"),
    ("password variable", "starting with DB_PASSWORD=<s4> HOST=db"),
    ("password variable", "export PGPASSWORD=<p12>"),
    ("password variable", "MYSQL_PWD='<p14>'"),
    ("password variable", 'set SMTP_PASS="<p14>"'),
    ("password in prose", "the password is <s3>"),
    ("password in prose", "logging in as bob, password is <p12>."),
    ("password in prose", "Password: <s2>"),
    ("password in prose", "your temporary password is: <p10>"),
    ("password in prose", "passphrase = <p20>"),
    ("password in prose", "user bob password <s4> rejected"),
    ("password in prose", "with pwd <p12>"),
    ("password with separators", "DB_PASS=<b5>,<b7>"),
    ("password with separators", "DB_PASSWORD=<b6>&<b7>;<b6>"),
    ("password with separators", "password=<b6>@<b6>/<b6>"),
    ("command line", "mysqldump --password <p12> prod"),
    ("command line", "myapp --db-password=<p12> --verbose"),
    ("command line", "mysql -uroot -p<p12> -h db prod"),
    ("command line", "mysql -u root -p<s4> prod"),
    ("command line", "sshpass -p <p12> ssh deploy@10.0.0.3"),
    ("command line", "docker login -u robot -p <p16> registry.example.com"),
    ("command line", "curl -u robot:<p16> https://api.example.com/v1"),
    ("command line", "curl --user robot:<s4> https://api.example.com/v1"),
    ("command line", "curl -H 'X-Api-Key: <b24>' https://api.example.com"),
    ("command line", "redis-cli -h r -a <b20> ping"),
    ("command line", "psql 'host=db user=app password=<p12> dbname=prod'"),
    ("command line", "helm upgrade --set auth.password=<b16> chart"),
    ("command line", "gcloud run deploy w --set-env-vars=DB_PASS=<b14>,MODE=prod"),
    ("command line", "myapp --token <b24> --api-key <b30>"),
    ("command line", "['mysql', '--password', '<p12>', '--host', 'db']"),
    ("command line", "openssl pkcs12 -in a.p12 -passin pass:<p12>"),
    ("JSON", '{"password": "<p16>", "user": "bob"}'),
    ("JSON", '{"db": {"user": "bob", "passwd": "<s4>"}}'),
    ("JSON", '{"clientSecret":"<w40>"}'),
    ("JSON", '{"accessToken" : "<b40>", "expiresIn": 3600}'),
    ("JSON", '{"refresh_token": "<w64>"}'),
    ("JSON", '{"password": "ab\\"<b8>"}'),
    ("JSON", '{"pin": <d6>, "otp": "<d6>"}'),
    ("JSON", '{"secrets": ["<b24>", "<b24>"]}'),
    ("JSON", '{"credentials": {"user": "bob", "pass": "<p12>"}}'),
    ("JSON in JSON", '{"body": "{\\"password\\": \\"<p14>\\"}"}'),
    ("JSON in JSON", '{"a": "{\\"b\\": \\"{\\\\\\"apiKey\\\\\\": \\\\\\"<b24>\\\\\\"}\\"}"}'),
    ("JSON in JSON", 'payload="{\\"token\\":\\"<b32>\\"}"'),
    ("Python", "{'password': '<p12>', 'port': 5432}"),
    ("Python", "Config(host='db', password='<p12>', timeout=3)"),
    ("Python", "Settings(api_key=SecretStr('<b24>'))"),
    ("Python", "TypeError: connect() got auth=('bob', '<p12>')"),
    ("Python", "headers=[('Authorization', 'Bearer <b32>'), ('X-Api-Key', '<b24>')]"),
    ("Python", "{b'x-api-key': b'<b24>'}"),
    ("Python", "password = None or '<s4>'"),
    ("logfmt", 'level=error msg="cannot connect" db_password=<p12> host=db'),
    ("logfmt", "level=info token=<b24> user=bob"),
    ("logfmt", 'secret="<p20>" code=503'),
    ("YAML", "database:\n  host: db\n  password: <s4>\n  port: 5432"),
    ("YAML", "database:\n  password: |\n    <p16>\n  port: 5432"),
    ("YAML", "api_key: <b24>  # prod"),
    ("YAML", "stringData:\n  token: <b24>\n"),
    ("YAML", "env:\n- name: DB_PASS\n  value: <p12>\n- name: MODE\n  value: prod"),
    ("environment entry", '{"name": "DB_PASS", "value": "<p12>"}'),
    ("environment entry", '{"value": "<b24>", "name": "API_TOKEN"}'),
    ("environment entry", "name: API_KEY value: <b24>"),
    ("environment entry", "{'key': 'client_secret', 'value': '<b24>'}"),
    ("environment dump", "environ({'HOME': '/root', 'PATH': '/usr/bin', 'SMTP_LOGIN': '<p12>', 'K_SERVICE': 'w'})"),
    ("environment dump", "HOME=/root\nPATH=/usr/bin\nPORT=8080\nK_SERVICE=w\nSMTP_LOGIN=<p12>\n"),
    ("environment dump", "env: PATH=/usr/bin HOME=/root PORT=8080 LICENCE=<b24> K_SERVICE=w"),
    ("environment dump", 'declare -x HOME="/root"\ndeclare -x PATH="/usr/bin"\ndeclare -x PORT="80"\ndeclare -x VENDOR="<p16>"'),
    ("environment dump", '{"HOME":"/root","PATH":"/usr/bin","PORT":"8080","PARTNER":"<b24>","LANG":"C"}'),
    ("query string", "GET /cb?access_token=<b32>&x=1 HTTP/1.1"),
    ("query string", "https://api.example.com/v1?key=<b24>"),
    ("query string", "https://api.example.com/v1?x=1&key=<s4>&page=2"),
    ("query string", "https://f.azurewebsites.net/api/x?code=<B52>=="),
    ("query string", "https://app.example.com/cb?code=<w40>&state=<w20>"),
    ("query string", "https://api.example.com/v1?auth=<b24>#top"),
    ("query string", "/hook?sig=<h64>"),
    ("query string", "https://x.example.com/?apikey=<h32>"),
    ("query string", "https://x.example.com/?subscription-key=<h32>"),
    ("query string", "https://x.example.com/login?user=bob&pwd=<s4>"),
    ("query string", "https://x.example.com/?session=<b24>"),
    ("query string", "https://x.example.com/?jwt=<b40>"),
    ("query string", "https://x.example.com/?hmac=<h64>&ts=1"),
    ("query string", "redirect=https%3A%2F%2Fx.example.com%2F%3Ftoken%3D<b24>%26a%3D1"),
    ("query string", '"url":"https://x.example.com/?a=1\\u0026token=<b24>\\u0026b=2"'),
    ("query string", '"url":"https://x.example.com/?a=1&amp;token=<b24>"'),
    ("signed URL", "https://storage.googleapis.com/b/o?X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Signature=<h256>"),
    ("signed URL", "https://b.s3.amazonaws.com/o?X-Amz-Credential=AKIA<u16>%2F20260208&X-Amz-Signature=<h64>"),
    ("signed URL", "https://b.s3.amazonaws.com/o?X-Amz-Security-Token=<b120>&X-Amz-Expires=600"),
    ("signed URL", "https://cdn.example.com/v?Expires=1&Signature=<w80>&Key-Pair-Id=K1"),
    ("storage SAS", "https://a.blob.core.windows.net/c/b?sv=2022-11-02&se=2026-02-09T00%3A00%3A00Z&sr=b&sp=r&sig=<b43>%3D"),
    ("storage SAS", "SharedAccessSignature sr=https%3a%2f%2fh.servicebus.windows.net&sig=<b43>%3d&se=1700000000&skn=Root"),
    ("form body", "grant_type=password&username=bob&password=<b12>&scope=x"),
    ("form body", "grant_type=client_credentials&client_id=x&client_secret=<b32>"),
    ("form body", "SAMLResponse=<B200>&RelayState=x"),
    ("form body", "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=<b90>"),
    ("header", "Authorization: Bearer <b40>"),
    ("header", "authorization: Basic <userpass14>"),
    ("header", 'Authorization: Digest username="bob", response="<h32>", nonce="<h32>"'),
    ("header", "Authorization: AWS4-HMAC-SHA256 Credential=AKIA<u16>/20260208/x/s3/aws4_request, Signature=<h64>"),
    ("header", "Authorization: Token <h40>"),
    ("header", "> Proxy-Authorization: Basic <userpass10>"),
    ("header", "X-Auth-Token: <b32>"),
    ("header", "X-Amz-Security-Token: <b120>"),
    ("header", "Cookie: sid=<b24>; theme=dark"),
    ("header", "Set-Cookie: JSESSIONID=<H32>; Path=/; HttpOnly"),
    ("header", "X-Hub-Signature-256: sha256=<h64>"),
    ("header", "Ocp-Apim-Subscription-Key: <h32>"),
    ("header", "PRIVATE-TOKEN: <w20>"),
    ("header", "X-Vault-Token: s.<b24>"),
    ("header", "DD-API-KEY: <h32>"),
    ("header", "'x-functions-key': '<w52>=='"),
    ("private key", "-----BEGIN PRIVATE KEY-----\nMIIE<B60>\n<B64>\n<B30>==\n-----END PRIVATE KEY-----"),
    ("private key", "-----BEGIN RSA PRIVATE KEY-----\\nMIIE<B60>\\n<B64>\\n-----END RSA PRIVATE KEY-----\\n"),
    ("private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA<B50>\n<B70>\n"),
    ("private key", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n<B64>\n<B64>\n=<B4>\n-----END PGP PRIVATE KEY BLOCK-----"),
    ("private key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF<B60>\n<B64>\n-----END ENCRYPTED PRIVATE KEY-----"),
    ("private key", "PuTTY-User-Key-File-2: ssh-rsa\nEncryption: none\nPrivate-Lines: 2\n<B64>\n<B64>\nPrivate-MAC: <h40>"),
    ("private key", "<B64>"),
    ("key file", '{"type": "service_account", "private_key_id": "0123", "private_key": "-----BEGIN PRIVATE KEY-----\\nMIIE<B64>\\n<B64>\\n-----END PRIVATE KEY-----\\n"}'),
    ("key file", "[default]\naws_access_key_id = AKIA<u16>\naws_secret_access_key = <B40>\naws_session_token = <B200>"),
    ("key file", "AZURE_CLIENT_ID=x\nAZURE_CLIENT_SECRET=<w40>"),
    ("key file", '{"SecretAccessKey": "<B40>", "SessionToken": "<B120>"}'),
    ("key file", '{"client_id": "x.apps.googleusercontent.com", "client_secret": "<w24>", "refresh_token": "<w60>"}'),
    ("key file", "[Interface]\nPrivateKey = <B43>=\nAddress = 10.0.0.2/32"),
    ("connection string", "postgres://app:<b16>@db.internal:5432/prod"),
    ("connection string", "postgresql+psycopg2://app:<b6>/<b6>@db/prod"),
    ("connection string", "mysql://root:<b6>@<b6>@10.0.0.1:3306/x"),
    ("connection string", "mongodb+srv://app:<p14>@c0.abc.mongodb.net/?retryWrites=true"),
    ("connection string", "amqps://svc:<b20>@mq:5671/%2f"),
    ("connection string", "redis://:<b20>@cache:6379/0"),
    ("connection string", "rediss://default:<b20>@cache:6380"),
    ("connection string", "https://robot:<s4>@git.example.com/x.git"),
    ("connection string", "Server=tcp:s.database.windows.net,1433;User ID=sa;Password=<p16>;Encrypt=True;"),
    ("connection string", "Driver={ODBC};Server=db;Uid=sa;Pwd=<p12>;"),
    ("connection string", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=<B86>==;EndpointSuffix=core.windows.net"),
    ("connection string", "Endpoint=sb://h.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=<B43>="),
    ("connection string", "jdbc:postgresql://db/prod?user=app&password=<b14>"),
    ("connection string", "jdbc:oracle:thin:scott/<b12>@//db:1521/X"),
    ("connection string", "jdbc:sqlserver://db:1433;user=sa;password=<p12>"),
    ("netrc", "machine api.example.com login bob password <p12>"),
    ("netrc", "machine api.example.com\n  login bob\n  password <s4>\n"),
    ("docker config", '{"auths": {"gcr.io": {"auth": "<userpass16>"}}}'),
    ("docker config", '{"auths":{"x":{"identitytoken":"<w60>"}}}'),
    ("kubeconfig", "users:\n- name: a\n  user:\n    client-key-data: LS0tLS1C<B80>\n"),
    ("kubeconfig", "users:\n- name: a\n  user:\n    token: <b40>\n    username: x"),
    ("Kubernetes secret", "kind: Secret\ndata:\n  license: <B40>\n  db: <B24>\ntype: Opaque"),
    ("npmrc", "//registry.npmjs.org/:_authToken=<uuid36>"),
    ("npmrc", "//reg.example.com/:_password=<B24>"),
    ("pip", "--extra-index-url https://robot:<b24>@pypi.example.com/simple"),
    ("SQL", "ALTER USER app WITH PASSWORD '<p12>'"),
    ("SQL", "CREATE USER 'app'@'%' IDENTIFIED BY '<p12>'"),
    ("SQL", "ALTER USER app IDENTIFIED BY 'ab''<b8>'"),
    ("SQL", "select * from users where password = '<b6>''<b6>'"),
    ("command line", "sqlplus -s scott/<s4>@prod @report.sql"),
    ("command line", "expdp system/<b12>@//db:1521/X tables=t"),
    ("Python", "cx_Oracle.connect('scott/<b12>@prod')"),
    ("SQL", "conn scott/<s4>@prod"),
    ("comparison", 'attributes.api_key != "<b24>"'),
    ("comparison", "if (password !== '<s4>') return"),
    ("YAML", "password: 'ab''<b8>'\nport: 5432"),
    ("XML", "<wsse:Password Type=\"x\"><p14></wsse:Password>"),
    ("XML", '<add key="ApiSecret" value="<b24>"/>'),
    ("XML", "<apiKey><b24></apiKey>"),
    ("one-time code", "Your verification code is <d6>"),
    ("one-time code", "otp=<d6> for bob"),
    ("TOML", 'webhook_secret = "<b24>"'),
    ("INI", "smtp_password : <p12>"),
    ("Ruby", ':password => "<p12>"'),
    ("PHP", "define('DB_PASSWORD', '<p12>');"),
    ("URL-like name", "spring.datasource.password=<p12>"),
    ("camel case", "dbPassword=<p12> masterKey=<b24> apiToken: <b24>"),
    ("encryption key", "ENCRYPTION_KEY=<h64> SIGNING_KEY=<B43>="),
    ("Django secret", "SECRET_KEY = 'django-insecure-<b40>'"),
    ("vendor key", "STRIPE_KEY=<b24> DATADOG_APP_KEY=<h40>"),
    ("key in prose", "using api key <b24>"),
    ("key in prose", "API Key: <h32>"),
    ("key in prose", "access token <b32> was refused"),
    ("key in prose", "client secret is <w24>"),
    ("dotenv", "# .env\nAPP_SECRET=<h32>\nJWT_SECRET=<p20>"),
    ("session", "sessionid=<b32> session_id: <h32>"),
    ("variable name with a value in it", "TOKEN_<b32>"),
)  # fmt: skip
"""Secrets that are told by the name they go by, or by what they stand in."""

PEOPLE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("e-mail", "by alice.liddell@example.com at noon", ("alice", "liddell")),
    ("e-mail", "user=Alice.Liddell+ops@sub.example.co.uk", ("alice", "liddell")),
    ("e-mail", "mailto:alice@example.com", ("alice@",)),
    ("e-mail", "/users/alice%40example.com/x?a=1", ("alice",)),
    ("e-mail", "for ünsal.özil@example.com", ("ünsal", "özil")),
    ("e-mail", '{"user": "alice@example.com"}', ("alice",)),
    ("display name", "From: Alice Liddell <alice.l@example.com>", ("alice", "liddell")),
    ("display name", 'To: "Liddell, Alice" <al@example.com>', ("alice", "liddell")),
    ("display name", "Author: Jürgen Müller <jm@example.com>", ("jürgen", "müller")),
    ("display name", "Co-authored-by: alice liddell <alice.liddell@example.com>", ("alice", "liddell")),
    ("display name", "alice.l@example.com (Alice Liddell)", ("alice", "liddell")),
    ("display name", "To: Bob O'Neil <bob@example.com>, Eve van der Berg <eve@example.com>", ("bob", "neil", "eve", "berg")),
    ("display name", "=?utf-8?q?Alice?= <alice@example.com>", ("alice@",)),
    ("phone", "sms to +1 415 555 2671 failed", ("555 2671", "415")),
    ("phone", "call +14155552671", ("4155552671", "2671")),
    ("phone", "(415) 555-2671 is on call", ("555-2671",)),
    ("phone", "415-555-2671", ("555-2671",)),
    ("phone", "415.555.2671 is on call", ("555.2671",)),
    ("phone", "ring +44 20 7946 0958", ("7946", "0958")),
    ("phone", "ring +49 (0)30 901820", ("901820",)),
    ("phone", "on call: +49-176-12345678", ("12345678",)),
    ("phone", '{"phone": "4155552671"}', ("4155552671",)),
    ("phone", "phone_number=030/901820", ("901820",)),
    ("phone", "tel:+14155552671", ("4155552671",)),
    ("phone", "mobile: 0176 12345678", ("12345678",)),
    ("phone", "msisdn=4917612345678", ("17612345678",)),
    ("phone", "to=%2B14155552671", ("4155552671",)),
    ("phone", "+1 (415) 555-2671 x12", ("555-2671",)),
    ("phone", "+33 1 42 68 53 00", ("42 68 53",)),
    ("phone", "+86 138 0013 8000", ("0013", "8000")),
)  # fmt: skip
"""What tells of a person, with what must be gone."""


AGAIN: tuple[tuple[str, tuple[str, ...]], ...] = (
    ('{"player": "a", "token": "Bearer abcdefghijklmnop"}', ("abcdefghijklmnop",)),
    ("Bearer aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",)),
    ('DB_PASS=hunter2', ('hunter2',)),
    ('db.pass=hunter2', ('hunter2',)),
    ('password is hunter2', ('hunter2',)),
    ("Password was 'correct horse'", ('correct horse',)),
    ('mysql --password hunter2 -h db', ('hunter2',)),
    ('psql -W -phunter2!X', ('hunter2!X',)),
    ('mysqldump -pS3cr3t05x db', ('S3cr3t05x',)),
    ('connect failed: user=app pass=tiger99 host=db', ('tiger99',)),
    ('login failed for bob:hunter2@db', ('hunter2',)),
    ('sv=2021&sig=abc%2Bdef%2Fghi123%3D', ('def%2Fghi123',)),
    ('https://h/x?key=S3cr3t', ('S3cr3t',)),
    ('https://h/x?code=S3cr3t05', ('S3cr3t05',)),
    ('https://h/x?auth=S3cr3tZZ', ('S3cr3tZZ',)),
    ('POST /hook?auth=abcdefghijklmnop failed', ('abcdefghijklmnop',)),
    ('https://h/x?key=abcdefghijklmnopqrstuvwx', ('abcdefghijklmnopqrst',)),
    ('Alice Smith <alice@corp.com>', ('Alice',)),
    ('alice smith <asmith@corp.com>', ('smith',)),
    ('From: "Alice Smith" <a@corp.com>', ('Smith',)),
    ('user Alice Smith (alice@corp.com) started', ('alice@',)),
    ('+1-202-555-0143', ('555-0143',)),
    ('tel 202 555 0143', ('555 0143',)),
    ('Phone: +44 7911 123456', ('123456',)),
    ('phone=2025550143', ('2025550143',)),
    ('ｐａｓｓｗｏｒｄ＝ｈｕｎｔｅｒ２', ('ｈｕｎｔｅｒ２',)),
    ('pass\u200bword=hunt\u200ber2', ('er2',)),
    ("{'env': {'DB_PASS': 'x9y8z7', 'MODE': 'prod'}}", ('x9y8z7',)),
    ("env=[EnvVar(name='API_TOKEN', value='abc123def')]", ('abc123def',)),
    ('Environment:\n  PATH=/usr/bin\n  HOME=/\n  LANG=C\n  SMTP=relay:Zz9Yy8\n', ('Zz9Yy8',)),
    ('{"credentials":"dXNlcjpwYXNzd29yZA=="}', ('dXNlcjpwYXNz',)),
    ('X-Goog-IAP-JWT-Assertion: abc.def.ghi12345', ('ghi12345',)),
    ('Authorization: hunter2token', ('hunter2token',)),
    ('Authorization: Bearer abc', ('Bearer abc',)),
    ('authorization=Basic Zm9vOmJhcg==', ('Zm9vOmJhcg',)),
    ('Set-Cookie: id=a3fWa; Expires=Thu', ('a3fWa',)),
    ('cookie: a=1; b=2', ('b=2',)),
    ("conn = 'postgresql://u:p%40ss@h/db'", ('p%40ss',)),
    ('redis://h:6379?password=hunter2', ('hunter2',)),
    ('mongodb://u:pa:ss@h', ('pa:ss',)),
    ('secret=abc', ('abc',)),
    ('"api-key":"abcd1234"', ('abcd1234',)),
    ("apiKey='abcd1234'", ('abcd1234',)),
    ('api_key => abcd1234', ('abcd1234',)),
    ('API key: abcd1234', ('abcd1234',)),
    ('my api key is abcd1234efgh', ('abcd1234efgh',)),
    ('the secret is swordfish', ('swordfish',)),
    ('passwd swordfish99', ('swordfish99',)),
    ('Passphrase: open sesame now', ('sesame',)),
    ('x-api-key abcd1234efgh5678', ('abcd1234efgh5678',)),
    ('client_secret%3Dabc123xyz', ('abc123xyz',)),
    ('SECRET: >-\n  line1abc\n  line2def\nnext: 1', ('line2def',)),
    ("--header 'X-Auth-Token: abcdef'", ('abcdef',)),
    ('-H "apikey: abcdef123"', ('abcdef123',)),
    ('--data \'{"password":"pw12345"}\'', ('pw12345',)),
    ('user:password@host login as admin/hunter2', ('hunter2',)),
    ('LDAP bind dn=cn=x password=Zx,9;y done', ('Zx,9;y',)),
    ('bind_password="a\\"bc"', ('bc',)),
    ('<password>hunter2</password>', ('hunter2',)),
    ("<Auth token='abc123xyz'/>", ('abc123xyz',)),
    ('TWILIO_AUTH_TOKEN=0123456789abcdef0123456789abcdef', ('0123456789abcdef0',)),
    ('OPENAI_API_KEY=foo-bar-baz', ('foo-bar-baz',)),
    ('SLACK_SIGNING_SECRET=deadbeef', ('deadbeef',)),
    ('SENTRY_DSN=https://abcdef0123456789@sentry.io/1', ('abcdef0123456789',)),
    ('DATABASE_URL=postgres://u:hunter2@h/d', ('hunter2',)),
    ('basic auth: admin:hunter2', ('hunter2',)),
    ('credentials admin / hunter2', ('hunter2',)),
    ('AccountKey=abcd1234efgh5678ijkl==', ('abcd1234efgh',)),
    ('SharedAccessSignature=sv=2020&sig=zzz111yyy', ('zzz111yyy',)),
    ('totp code 482913', ('482913',)),
    ('PIN=4829', ('4829',)),
    ('2FA code: 482913', ('482913',)),
    ('password\\u003dhunter2', ('hunter2',)),
    ('password&#61;hunter2', ('hunter2',)),
    ('\x1b[31mpassword\x1b[0m: hunter2', ('hunter2',)),
    ('DB_PASSWORD_FILE=/run/x DB_PASSWORD=abc123', ('abc123',)),
    ('DB_PASSWORD_PROD=abc123', ('abc123',)),
    ('password1=abc123', ('abc123',)),
    ('oldPassword=abc123&newPassword=def456', ('def456',)),
    ('token:abc123', ('abc123',)),
    ('auth_token abc123def456ghi', ('abc123def456',)),
    ('session_token=abc', ('=abc',)),
    ('csrf=abc123def', ('abc123def',)),
    ('x-csrf-token: abc123def', ('abc123def',)),
    ('nonce=8f7a6b5c4d', ('8f7a6b5c4d',)),
    ('{"password": "the quick brown fox"}', ('quick brown',)),
    ("password='at dawn by the old mill'", ('old mill',)),
    ("SECRET = 'we met in a small town'", ('small town',)),
)  # fmt: skip
"""A second look, by who had seen the rules: short secrets, words for secrets, odd forms."""


def _wide(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _between(what: str) -> Callable[[str], str]:
    return lambda text: what.join(text)


VEILS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("full-width letters", _wide),
    ("zero-width spaces", _between("\u200b")),
    ("zero-width joiners", _between("\u200d")),
    ("soft hyphens", _between("\u00ad")),
    ("word joiners", _between("\u2060")),
    ("byte order marks", _between("\ufeff")),
    ("colours of a terminal", lambda text: text.replace("=", "\x1b[0m=\x1b[36m").replace(": ", "\x1b[0m: \x1b[1;36m")),
    ("percent encoding", lambda text: text.replace("=", "%3D").replace(":", "%3A").replace(" ", "%20")),
    ("JSON escapes", lambda text: text.replace("=", "\\u003d").replace(":", "\\u003a").replace("-", "\\u002d")),
    ("entities", lambda text: text.replace('"', "&quot;").replace("'", "&#39;")),
    ("mathematical letters", lambda text: "".join(chr(0x1D400 + ord(c) - 65) if "A" <= c <= "Z" else c for c in text)),
)
"""What makes a secret look unlike itself."""
VEILED = (
    "DB_PASSWORD=<b14>", "Authorization: Bearer <b40>", "token: <b24>", "glpat-<w20>", "ghp_<b36>", '{"password": "<b14>"}',
    "https://x.example.com/?token=<b24>", "AKIA<u16>",
)  # fmt: skip


def _token_texts(rng: Random) -> Iterator[Planted]:
    for kind, shape in TOKENS:
        for around in rng.sample(AROUND, 3):
            text, parts = fill(shape, rng)
            yield Planted(kind, around.format(text), parts)


def _veiled(rng: Random) -> Iterator[Planted]:
    for veil, hide in VEILS:
        for shape in VEILED:
            text, parts = fill(shape, rng)
            yield Planted(f"behind {veil}", f"worker says {hide(text)}", parts)


def planted(seed: int) -> tuple[Planted, ...]:
    """All planted secrets; another seed draws other bodies and stands the tokens in other sentences."""
    rng = Random(seed)
    named = [Planted(kind, *fill(text, rng)) for kind, text in NAMED]
    people = [Planted(kind, text, gone) for kind, text, gone in PEOPLE]
    again = [Planted("a second look", text, gone) for text, gone in AGAIN]
    return (*_token_texts(rng), *named, *people, *again, *_veiled(rng))


def unveiled(text: str) -> str:
    """The plain letters of a text."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")


SHORTEST = 6
"""So many characters of a secret in a row are a leak, unless the secret itself is shorter."""


def leaks(one: Planted, out: str) -> bool:
    """Whether any part of the secret can still be read, by eye or by who takes the veil off."""
    low = f"{out}\n{unveiled(out)}".lower()
    for part in one.parts:
        n = min(len(part), SHORTEST)
        if n >= 3 and any(part[i : i + n].lower() in low for i in range(len(part) - n + 1)):
            return True
    return False
