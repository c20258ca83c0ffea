# leakhunt in an image.
#
#   docker build -t leakhunt .
#   docker run --rm -v "$PWD:/project" leakhunt run my_service.py:handle
#
# Reports go to /project/reports. What your code imports must be installed as well: build an image from
# this one, or with --build-arg EXTRAS=fsmn-vad,soak. --build-arg PYTHON=3.13 takes another Python.
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
COPY . /source
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:${PYTHON}-slim
ARG EXTRAS=""
# git is for `gate --against`, `gate --changed` and the lines of a repository.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN python -m pip install --no-cache-dir "$(ls /wheels/*.whl)${EXTRAS:+[$EXTRAS]}" \
    && rm -rf /wheels
# The repository that is mounted is somebody else's.
RUN git config --system --add safe.directory '*'
WORKDIR /project
ENTRYPOINT ["leakhunt"]
CMD ["--help"]
