"""Routes that are asked very often: a query is read in one pass where it can be, and by the framework where it cannot.

FastAPI reads and checks parameters one by one, which takes several times what drawing an image does. What the whole
application depends on is not called on the quick way, which does it by itself: the scope, and no unknown parameter.
"""

from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError, create_model
from starlette.responses import Response

from app.access import check_scope

Values = Mapping[str, Any]  # Any: each parameter has its own type
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class QuickRoute(APIRoute):
    """A route whose dependencies, where it has no body, are plain `async` functions of the query and the request."""

    def get_route_handler(self) -> Handler:
        """Return what answers: the route's function at once, or the framework's own way for an unusual query."""
        careful, query, dependant = super().get_route_handler(), _model(self.dependant), self.dependant
        known = query.model_fields.keys()
        if self.body_field is not None:
            return careful

        async def answer(request: Request) -> Response:
            items = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
            asked = dict(items)
            if len(asked) < len(items) or not asked.keys() <= known:  # something stands there twice, or is unknown
                return await careful(request)
            await check_scope(request, request.state.key)  # as the framework would before it calls a route
            try:
                values = vars(query.model_validate(asked))
            except ValidationError as wrong:
                findings = [{**each, "loc": ("query", *each["loc"])} for each in wrong.errors()]
                raise RequestValidationError(findings) from None
            found: Response = await _call(dependant, request, values)
            return found

        return answer


async def _call(dependant: Dependant, request: Request, values: Values) -> Any:  # Any: what the function returns
    """Call a function with its parameters, its dependencies called first."""
    assert dependant.call is not None
    arguments = {field.name: values[field.name] for field in dependant.query_params}
    arguments |= {field.name: request.headers.get(field.alias) for field in dependant.header_params}
    for inner in dependant.dependencies:
        if inner.name is not None:
            arguments[inner.name] = await _call(inner, request, values)
    if dependant.request_param_name:
        arguments[dependant.request_param_name] = request
    return await dependant.call(**arguments)


def _model(dependant: Dependant) -> type[BaseModel]:
    """Build one model of a route's query parameters."""
    fields: Any = {  # Any: pydantic's own typing of a field's definition is looser than a type
        field.alias: (Annotated[field.field_info.annotation, field.field_info], field.field_info.default)
        for field in _query_fields(dependant)
    }
    return create_model("Query", **fields)


def _query_fields(dependant: Dependant) -> Iterator[Any]:  # Any: FastAPI's fields have no public type
    for inner in dependant.dependencies:
        yield from _query_fields(inner)
    yield from dependant.query_params
