# Two targets: cpu (about 3 GB) and cuda (about 7 GB; needs the NVIDIA container toolkit to run).
#   docker build --target cpu --tag sdcl-neuro .
#   docker run --rm --volume "$PWD/out:/out" sdcl-neuro demo --out /out/demo
# tests/distribution/test_dockerfile.py runs the steps of cpu as a script where no engine is at hand.
FROM python:3.11-slim AS base
# A C compiler for the backend c and torch's compiler; Verilator is optional and left out.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc g++ libc6-dev && rm -rf /var/lib/apt/lists/*
ENV PIP_NO_CACHE_DIR=1
COPY . /src
WORKDIR /src

FROM base AS cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m pip install ${TORCH_INDEX:+--index-url $TORCH_INDEX} --constraint constraints.txt torch torchvision
RUN python -m pip install --constraint constraints.txt ".[reid,plot,norse,onnx,gallery,recordings,lava]"
RUN sdcl-neuro lava install --quiet
RUN sdcl-neuro doctor
RUN sdcl-neuro models list
RUN sdcl-neuro verify "$(sdcl-neuro models path sdcl-small-walkers)" --against snntorch-int,lava --quiet
WORKDIR /out
ENTRYPOINT ["sdcl-neuro"]
CMD ["--help"]

FROM base AS cuda
RUN python -m pip install --constraint constraints.txt ".[reid,plot,norse,onnx,gallery,recordings,lava,gpu]"
RUN sdcl-neuro lava install --quiet
RUN sdcl-neuro doctor
WORKDIR /out
ENTRYPOINT ["sdcl-neuro"]
CMD ["--help"]
