"""Commands for webhook endpoints and deliveries."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from chalicelib.schema import Schema
from chalicelib.validation import (
    ONE_LINE,
    Cursor,
    IdempotencyKey,
    check_one_line,
    moment,
    whole_number,
)
from chalicelib.webhooks.models import DeliveryStatus, Subscription
from chalicelib.webhooks.url_policy import MAX_URL_LENGTH

Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_LENGTH,
        description="https, on port 443 or above 1023, on the public internet",
        examples=["https://example.com/webhooks"],
        json_schema_extra={"format": "uri"},
    ),
]
Subscriptions = Annotated[list[Subscription], Field(min_length=1, max_length=len(Subscription))]
EndpointDescription = Annotated[
    str, Field(max_length=200, json_schema_extra=ONE_LINE), AfterValidator(check_one_line)
]


class CreateEndpoint(Schema):
    """A webhook endpoint to create. The answer is the only place that shows its secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url
    events: Subscriptions = Field(
        default=[Subscription.EVERYTHING],
        description="`*` means all events, including those of later versions",
    )
    description: EndpointDescription | None = None
    idempotency_key: IdempotencyKey | None = None


class UpdateEndpoint(Schema):
    """Changes to an endpoint. Omitted fields keep their values; null only clears `description`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: Url | None = None
    events: Subscriptions | None = None
    description: EndpointDescription | None = Field(default=None, description="null removes it")
    enabled: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="enabling an endpoint resets its failures"
    )


class ListDeliveries(Schema):
    """A page of the deliveries to an endpoint, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: DeliveryStatus | None = None
    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(whole_number)] = 20
    cursor: Cursor = None


class ListDeliveriesOfPayment(Schema):
    """A page of the deliveries of a payment, newest first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(whole_number)] = 50
    cursor: Cursor = None


class ReplayFailed(Schema):
    """The failed deliveries of an endpoint to replay: those of events since a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Annotated[
        datetime,
        BeforeValidator(lambda value: moment(value, end_of_day=False)),
        WithJsonSchema(
            {
                "description": "a date or an RFC 3339 time, inclusive; the time of the event",
                "examples": ["2026-11-22"],
                "anyOf": [{"type": "string", "format": form} for form in ("date", "date-time")],
            }
        ),
    ]
