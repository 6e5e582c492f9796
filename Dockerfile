# Belfry as one small static image: the binary, the certificates of public authorities, and a folder for data.
#
#   docker build -t belfry --build-arg VERSION=1.2.3 .
#
# Where Docker Hub or the Go proxy is out of reach, name mirrors:
#   --build-arg GO_IMAGE=mirror.example.com/library/golang:1.26 --build-arg GOPROXY=https://goproxy.cn,direct
ARG GO_IMAGE=golang:1.26

FROM ${GO_IMAGE} AS build
ARG GOPROXY=https://proxy.golang.org,direct
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY gen gen
COPY pkg pkg
COPY services services
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/belfry ./services/belfry
WORKDIR /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=65532:65532 /out/data /var/lib/belfry
COPY --from=build /out/belfry /belfry
# Nobody in particular, and by number, so that Kubernetes can see that it is not root.
USER 65532:65532
# Journal and spool are below data/ in the working directory unless the configuration says otherwise. The root
# file system may be read-only.
WORKDIR /var/lib/belfry
VOLUME /var/lib/belfry
# Gitee's door; gRPC and HTTP/JSON of the notifier; /metrics, /livez and /readyz.
EXPOSE 8080 9090 9091 9092
STOPSIGNAL SIGTERM
# There is no shell and no curl in here: the binary asks itself. For another admin.listen than port 9092 give
# --admin as well.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["/belfry", "health"]
ENTRYPOINT ["/belfry"]
CMD ["run", "-c", "/etc/belfry/belfry.yaml"]
