# docker build -t cycseq .
# docker run --rm -v "$PWD:/data" cycseq inspect screen.h5ad
FROM python:3.11-slim
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir -c constraints.txt . && useradd --create-home --uid 1000 cycseq
USER 1000
WORKDIR /data
ENTRYPOINT ["cycseq"]
CMD ["--help"]
