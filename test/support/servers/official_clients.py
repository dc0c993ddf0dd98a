"""Sends requests through an official client library and prints what it returned.

stdin: {client, url, model, concurrency, requests: [[{name, datatype, shape, data}]]}
stdout: [{outputs: [{name, datatype, shape, data}]} | {error}], in the order of the requests

Each library is imported only where it is asked for: tritonclient.grpc and kserve bring the same protobuf symbols and
cannot live in one process.
"""

import asyncio
import json
import sys

import numpy as np

DTYPES = {"FP32": np.float32, "FP64": np.float64, "INT32": np.int32, "INT64": np.int64, "BYTES": object}


def to_array(tensor):
    return np.array(tensor["data"], dtype=DTYPES[tensor["datatype"]]).reshape(tensor["shape"])


def to_output(name, array):
    values = [v.decode() if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    (datatype,) = [name for name, dtype in DTYPES.items() if array.dtype == dtype]
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": values}


def failed(problem):
    """Whatever type it is, it is what the caller of the library would see."""
    return {"error": f"{type(problem).__name__}: {problem}"}


def tritonclient_inputs(library, tensors, **how):
    inputs = []
    for tensor in tensors:
        inputs.append(library.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
        inputs[-1].set_data_from_numpy(to_array(tensor), **how)
    return inputs


def run_tritonclient_http(job):
    """The usual, blocking client; its own greenlets keep several requests in flight."""
    import tritonclient.http as library

    client = library.InferenceServerClient(job["url"].removeprefix("http://"), concurrency=job["concurrency"])
    binary = not job["client"].endswith("json")
    gzip = "gzip" if job["client"].endswith("gzip") else None
    outputs = None
    if not binary:
        # Unless the outputs are named, this client asks for all of them in binary.
        named = client.get_model_metadata(job["model"])["outputs"]
        outputs = [library.InferRequestedOutput(output["name"], binary_data=False) for output in named]
    calls = [
        client.async_infer(
            job["model"],
            tritonclient_inputs(library, tensors, binary_data=binary),
            outputs=outputs,
            request_compression_algorithm=gzip,
            response_compression_algorithm=gzip,
        )
        for tensors in job["requests"]
    ]
    results = []
    for call in calls:
        try:
            result = call.get_result()
            names = [output["name"] for output in result.get_response()["outputs"]]
            results.append({"outputs": [to_output(name, result.as_numpy(name)) for name in names]})
        except Exception as problem:
            results.append(failed(problem))
    client.close()
    return results


class TritonclientAio:
    """tritonclient's asyncio flavours, over HTTP (binary tensors) and gRPC."""

    def __init__(self, job):
        if job["client"] == "tritonclient-grpc":
            import tritonclient.grpc.aio as library
        else:
            import tritonclient.http.aio as library
        self.library, self.model = library, job["model"]
        self.client = library.InferenceServerClient(job["url"].removeprefix("http://"))

    async def infer(self, tensors):
        result = await self.client.infer(self.model, tritonclient_inputs(self.library, tensors))
        answer = result.get_response()
        listed = [o["name"] for o in answer["outputs"]] if isinstance(answer, dict) else [o.name for o in answer.outputs]
        return [to_output(name, result.as_numpy(name)) for name in listed]


class Kserve:
    """The KServe SDK's clients: REST of V1 and V2, and gRPC."""

    def __init__(self, job):
        import kserve

        self.library, self.kind, self.url, self.model = kserve, job["client"], job["url"], job["model"]
        if self.kind == "kserve-grpc":
            self.client = kserve.InferenceGRPCClient(self.url)
        else:
            protocol = "v1" if self.kind == "kserve-v1" else "v2"
            self.client = kserve.InferenceRESTClient(kserve.RESTConfig(protocol=protocol, retries=0))

    async def infer(self, tensors):
        if self.kind == "kserve-v1":
            (tensor,) = tensors
            answer = await self.client.infer(self.url, {"instances": to_array(tensor).tolist()}, model_name=self.model)
            return [to_output("predictions", np.array(answer["predictions"]))]
        inputs = []
        for tensor in tensors:
            inputs.append(self.library.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
            inputs[-1].set_data_from_numpy(to_array(tensor), binary_data=self.kind != "kserve-v2-json")
        parameters = {"binary_data_output": True} if self.kind == "kserve-v2" else {}
        request = self.library.InferRequest(self.model, inputs, parameters=parameters)
        if self.kind == "kserve-grpc":
            answer = await self.client.infer(request)
        else:
            answer = await self.client.infer(self.url, request, model_name=self.model)
        return [to_output(output.name, output.as_numpy()) for output in answer.outputs]


async def run_async(job, client):
    gate = asyncio.Semaphore(job["concurrency"])

    async def one(tensors):
        async with gate:
            try:
                return {"outputs": await client.infer(tensors)}
            except Exception as problem:
                return failed(problem)

    try:
        return await asyncio.gather(*(one(tensors) for tensors in job["requests"]))
    finally:
        await client.client.close()


async def main(job):
    return await run_async(job, Kserve(job) if job["client"].startswith("kserve") else TritonclientAio(job))


if __name__ == "__main__":
    job = json.load(sys.stdin)
    blocking = job["client"].startswith("tritonclient-http") and not job["client"].endswith("aio")
    json.dump(run_tritonclient_http(job) if blocking else asyncio.run(main(job)), sys.stdout)
