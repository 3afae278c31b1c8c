"""Routes of exports: tables in which nobody can be recognised, for who may not see people."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.service.access import Acting, need
from medfloor.service.bodies.exports import ExportBody
from medfloor.service.bodies.problems import problems
from medfloor.service.running import Running, running
from medfloor.store import audit
from medfloor.store.export import Export, export_deidentified

router = APIRouter(prefix="/api/v1/exports", tags=["exports 脱敏导出"])

Run = Annotated[Running, Depends(running)]

MEDIA_TYPE = "application/zip"


@router.post(
    "",
    summary="Take tables out without people",
    description="脱敏导出：参保人、身份、单据、个案四张表（zip）。编号按用途加密，出生只留年份，地点只到县，诊断三位，小于最小单元的组不予给出。",
    response_class=Response,
    responses={
        200: {
            "description": "people, spells, claims and cases. 四张表",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(),
    },
)
async def take_out(
    body: ExportBody, acting: Annotated[Acting, Depends(need("export_deidentified"))], run: Run
) -> Response:
    """Give people, spells, claims and cases of one's place as they may be shown; `X-Rows` counts rows and left out."""

    def work() -> Response:
        with run.store.reading() as connection:
            export = export_deidentified(connection, run.keyring, purpose=body.purpose, actor=acting.actor)
        told = " ".join(f"{name}={count}" for name, count in export.counts.items())
        # Written down before it is given: what left the office is known even if nobody received it.
        run.store.attempt(
            lambda connection: audit.record(
                connection, acting.actor, "export", detail=told, now=acting.now, request_id=acting.request_id
            )
        )
        headers = {
            "Content-Disposition": 'attachment; filename="export.zip"',
            "Cache-Control": "no-store",
            "X-Rows": told,
        }
        return Response(_packed(export, body.format), headers=headers, media_type=MEDIA_TYPE)

    return await run_in_threadpool(work)


def _packed(export: Export, ending: str) -> bytes:
    """Write the tables of an export into one archive, as `medfloor admin export` writes them into a folder."""
    from medfloor.intake.files import write_table

    packed = io.BytesIO()
    with (
        tempfile.TemporaryDirectory(prefix="medfloor-export-") as folder,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name, frame in (
            ("people", export.people),
            ("spells", export.spells),
            ("claims", export.claims),
            ("cases", export.cases),
        ):
            path = Path(folder) / f"{name}.{ending}"
            write_table(frame, path)
            archive.write(path, path.name)
    return packed.getvalue()
