"""Columns as Parquet: a fixed schema and fixed settings, so that the same rows are the same bytes."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from .columns import Column

PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])  # as the library `datasets` keeps images


def kind_of(column: Column) -> pa.DataType:
    """The Arrow type of one row."""
    if column.dtype == "image":
        return PICTURE
    scalar = pa.from_numpy_dtype(np.dtype(column.dtype)) if column.dtype != "string" else pa.string()
    return scalar if column.shape == (1,) else pa.list_(scalar, column.shape[0])


def table_of(columns: Sequence[Column], rows: Mapping[str, Sequence[Any]]) -> pa.Table:
    """Rows as a table.

    Args:
        columns: Its columns, in order.
        rows: Values of each, by name; pictures as PNG.
    """
    arrays = []
    for column in columns:
        values = rows[column.name]
        kind = kind_of(column)
        if column.dtype == "image":
            arrays.append(pa.array([{"bytes": png, "path": None} for png in values], kind))
        elif column.dtype == "string" or column.shape == (1,):
            arrays.append(pa.array(list(values), kind))
        else:
            flat = np.asarray(values, column.dtype).reshape(-1)
            arrays.append(pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind))
    return pa.table(arrays, names=[c.name for c in columns])


def write_table(path: Path, table: pa.Table) -> None:
    """Write one table as one row group."""
    with open_writer(path, table.schema) as writer:
        writer.write_table(table, row_group_size=max(1, len(table)))


def open_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Open a file for several tables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=False)


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a file, or some columns of it."""
    return pq.read_table(path, columns=list(columns) if columns is not None else None)


def column_names(path: Path) -> list[str]:
    """Columns of a file."""
    names: list[str] = pq.read_schema(path).names
    return names


def array_of(table: pa.Table, name: str) -> NDArray[Any]:
    """A column of numbers as (T,) or (T, n)."""
    column = table.column(name).combine_chunks()
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(-1, column.type.list_size)
    return np.asarray(column.to_numpy(zero_copy_only=False))


def task_table(task: str) -> pa.Table:
    """`meta/tasks.parquet`; LeRobot finds a task by the index that pandas reads from the metadata."""
    named = {"field_name": None, "metadata": None, "name": None, "numpy_type": "object", "pandas_type": "unicode"}
    number = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [{**number, "metadata": None}, {**named, "name": "task", "field_name": "task"}],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": None,
    }
    table = pa.table({"task_index": pa.array([0], pa.int64()), "task": pa.array([task], pa.string())})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas, sort_keys=True)})
