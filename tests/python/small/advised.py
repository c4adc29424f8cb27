"""Which values may the arguments of the test federation's adapters take?"""
# pyright: basic

import asyncio
import time

from dfm.exec.discovery import Advise, AdvisedError, AdvisedOneOf, Okay, field_advisor


class Report:
    def __init__(self, site, provider):
        self.site = site

    @field_advisor("where", order=0)
    async def cities(self, value, context):
        return AdvisedOneOf(context.get("known"), split_on_advice=True)

    @field_advisor("month", order=1)
    async def months(self, value, context):
        return AdvisedOneOf(context.get("known")[context.get("where")])

    @field_advisor("language")
    async def languages(self, value, context):
        if not isinstance(value, Advise):
            return Okay() if value in ("en", "no") else AdvisedError(f"nobody speaks {value} here")
        return AdvisedOneOf(["en", "no"])

    async def body(self, where, month, known, language):
        return f"{where} in {month}, in {language}, from {self.site.name}"


class Ask:
    def __init__(self, site, provider):
        pass

    @field_advisor("value", order=0)  # pyright: ignore[reportArgumentType]
    async def values(self, value, context):
        match context.get("how"):
            case "raise":
                raise LookupError("the catalogue is lost")
            case "hang":
                await asyncio.Event().wait()
            case "block":
                time.sleep(600)
            case "die":
                import os

                os._exit(3)
            case "object":
                return AdvisedOneOf([object()])
            case strange:
                return strange

    async def body(self, how, value):
        return value
