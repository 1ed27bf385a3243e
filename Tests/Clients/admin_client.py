"""A client of the admin listener: metrics as values, health as text."""
import http.client
import re

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def admin_port(running):
    return int(running.wait_for(r"metrics and health are at \S+:(\d+)$")[1])


def get(running, path, *, port=None, method="GET", **headers):
    """The status, the headers and the body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port or admin_port(running), timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


def families(running, accept=OPENMETRICS, **headers):
    """Every metric by its name, as the parser of the format has it."""
    status, said, text = get(running, "/metrics", Accept=accept, **headers)
    assert status == 200, text
    parse = openmetrics.text_string_to_metric_families
    if "openmetrics" not in said["Content-Type"]:
        parse = text_string_to_metric_families
    return {family.name: family for family in parse(text)}


def samples(running, **headers):
    """{(name, labels): value} of all samples."""
    return {(sample.name, frozenset(sample.labels.items())): sample.value
            for family in families(running, **headers).values() for sample in family.samples}


def value(running, name, /, **labels):
    """The sum of the samples of a name that have these labels."""
    return sum(number for (found, own), number in samples(running).items()
               if found == name and labels.items() <= dict(own).items())


def names_in(expression):
    """The metrics that an expression of PromQL asks for."""
    return set(re.findall(r"\b(?:gateway|process|handler)_[a-z0-9_]+\b", expression))
