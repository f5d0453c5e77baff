"""Plain FastAPI and joblib, as tutorials write it: a synchronous function, its body described by pydantic."""

import os

import joblib
import pandas
from fastapi import FastAPI
from pydantic import BaseModel


class Table(BaseModel):
    columns: list[str]
    data: list[list[float | str | None]]


class Body(BaseModel):
    input_data: Table


app = FastAPI()
model = joblib.load(os.environ["MODEL"])


@app.post("/score")
def score(body: Body) -> list[float]:
    frame = pandas.DataFrame(body.input_data.data, columns=body.input_data.columns)
    result: list[float] = model.predict(frame).tolist()
    return result
