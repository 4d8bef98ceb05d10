"""The small programs of a site: database, Redis, router, gateway, bridge. Text in, values out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rabta_deploy import router
from rabta_deploy.site import staff_part
from rabta_deploy.site.description import BRIDGE_ACCOUNT, Face, Site
from rabta_deploy.site.layout import Layout
from rabta_deploy.site.sizes import SIZES, Share, plan_of
from rabta_deploy.site.workload import Contact, Listen, Probe, Workload

_DATABASE_DIRECTORY = "postgres"
# Debian keeps each release's programs apart; the site says which one it runs.
POSTGRES_PROGRAM = "/usr/lib/postgresql/15/bin/postgres"


def postgres(site: Site, layout: Layout, ports: Mapping[str, int]) -> Workload:
    """The managed database: loopback and passwords alone, sized by the site."""
    share = SIZES[site.size].database
    lines = {
        "listen_addresses": "'127.0.0.1'",
        "port": str(ports["postgres"]),
        "unix_socket_directories": f"'{layout.state / _DATABASE_DIRECTORY}'",
        "data_directory": f"'{layout.state / _DATABASE_DIRECTORY / 'data'}'",
        "hba_file": f"'{layout.config / 'postgres/pg_hba.conf'}'",
        "max_connections": str(_connections(site)),
        "shared_buffers": f"{share.memory_mib // 4}MB",
        "effective_cache_size": f"{share.memory_mib // 2}MB",
        "maintenance_work_mem": f"{max(64, share.memory_mib // 32)}MB",
        "password_encryption": "scram-sha-256",
        # What a backup needs to be consistent while people write.
        "wal_level": "replica",
        "checkpoint_completion_target": "0.9",
        # Statements carry what people wrote.
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": "0",
    }
    return Workload(
        name="postgres",
        says="The site's database.",
        command=(
            *(POSTGRES_PROGRAM, "-D", str(layout.state / _DATABASE_DIRECTORY / "data")),
            f"--config-file={layout.config / 'postgres/postgresql.conf'}",
        ),
        files={
            "postgres/postgresql.conf": "".join(f"{key} = {said}\n" for key, said in lines.items()),
            "postgres/pg_hba.conf": "host all all 127.0.0.1/32 scram-sha-256\n",
        },
        listens=(Listen("sql", "127.0.0.1", ports["postgres"]),),
        state=(_DATABASE_DIRECTORY,),
        probe=Probe("tcp", ports["postgres"], within_s=60),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        user="postgres",
        stop="INT",  # fast: SIGTERM would wait for clients to leave
    )


def _connections(site: Site) -> int:
    each = SIZES[site.size].connections
    return each * len(plan_of(site).processes) + 40


def redis(site: Site, layout: Layout, ports: Mapping[str, int]) -> Workload:
    """What the homeserver's processes tell each other by; it keeps nothing."""
    share = _small(site)
    text = (
        f"bind 127.0.0.1\nport {ports['redis']}\ndir {layout.state / 'redis'}\n"
        f"aclfile {layout.secret('redis.acl')}\n"
        f'save ""\nappendonly no\nmaxmemory {share.memory_mib // 2}mb\n'
    )
    return Workload(
        name="redis",
        says="Carries what the homeserver's processes tell each other, and keeps nothing.",
        command=("/usr/bin/redis-server", str(layout.config / "redis/redis.conf")),
        files={"redis/redis.conf": text},
        secrets=("redis.acl",),
        listens=(Listen("redis", "127.0.0.1", ports["redis"]),),
        state=("redis",),
        probe=Probe("tcp", ports["redis"], within_s=30),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
    )


def nginx(site: Site, layout: Layout, ports: Mapping[str, int]) -> Workload:
    """The router: clients arrive here by TLS, and every request goes to its process."""
    plan = plan_of(site)
    face = site.client
    tls = router.Tls(
        listen=f"{face.host}:{face.port}",
        name=face.name,
        server_name=site.server_name,
        federation=f"{site.server_name}:{site.federation.port}" if site.federation else None,
        certificate=face.certificate_file,
        key=face.key_file,
        scim=ports["staff"] if site.staff else None,
    )
    text = router.document(
        plan=plan,
        client_port=ports["router client"],
        federation_port=ports["router federation"],
        http_ports={name: ports[f"{name} http"] for name in plan.processes},
        tls=tls,
    )
    share = _small(site)
    return Workload(
        name="router",
        says="Takes clients in by TLS and leads each request to the process that answers it.",
        command=(
            *("/usr/sbin/nginx", "-p", str(layout.state / "router"), "-e", "stderr"),
            *("-c", str(layout.config / "router/nginx.conf")),
        ),
        files={"router/nginx.conf": text},
        reads=_tls_files(face),
        listens=(
            Listen("https", face.host, face.port, tls=True),
            Listen("client", "127.0.0.1", ports["router client"]),
            Listen("federation", "127.0.0.1", ports["router federation"]),
        ),
        state=("router",),
        after=("synapse-main",),
        probe=Probe("http", ports["router client"], within_s=30),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        stop="QUIT",  # what is being answered is answered
    )


def gateway(site: Site, layout: Layout, ports: Mapping[str, int], face: Face) -> Workload:
    """The border: other ministries arrive here by TLS, and all federation leaves here."""
    document = {
        "server_name": site.server_name,
        "policy_file": str(site.policy.policy_file),
        "authority_file": str(site.policy.authority_file),
        "state_file": str(layout.state / "gateway/state.json"),
        "audit_directory": str(layout.state / "gateway/audit"),
        "inbound": {
            "host": face.host,
            "port": face.port,
            "tls_certificate_file": str(face.certificate_file),
            "tls_key_file": str(face.key_file),
            "upstream": f"http://127.0.0.1:{ports['router federation']}",
        },
        "outbound": {
            "host": "127.0.0.1",
            "port": ports["gateway out"],
            "secret_file": str(layout.secret("replication")),
        },
        "metrics": {"host": "127.0.0.1", "port": ports["gateway metrics"]},
    }
    share = _small(site)
    return Workload(
        name="gateway",
        says="The border: all federation, in and out, by the signed policy's addresses and keys.",
        command=_rabta(layout, "gateway", "run", "--config", layout.config / "gateway.yaml"),
        files={"gateway.yaml": _yaml(document)},
        secrets=("replication",),
        reads=(
            str(site.policy.policy_file),
            str(site.policy.authority_file),
            *_tls_files(face),
        ),
        listens=(
            Listen("federation", face.host, face.port, tls=True),
            Listen("out", "127.0.0.1", ports["gateway out"]),
            Listen("metrics", "127.0.0.1", ports["gateway metrics"]),
        ),
        state=("gateway", "gateway/audit"),
        probe=Probe("http", ports["gateway metrics"], within_s=60),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        contacts=(Contact("(the servers of the signed policy)", "federation"),),
    )


def bridge(site: Site, layout: Layout, ports: Mapping[str, int]) -> Workload:
    """The bridge between e-Office and its officers' rooms."""
    office = site.eoffice
    if office is None:
        raise LookupError("the site has no e-Office")
    asked = site.database
    host, port = (asked.host, asked.port) if asked.host else ("127.0.0.1", ports["postgres"])
    kept = site.staff is not None
    directory = staff_part.directory_file(layout) if kept else office.directory_file
    document = {
        "organisation": site.organisation,
        "listen": {"host": "127.0.0.1", "port": ports["bridge"]},
        "database": {
            "url": f"postgresql+psycopg://rabta-bridge@{host}:{port}/rabta-bridge",
            "password_file": str(layout.secret("bridge-database-password")),
        },
        "matrix": {
            "homeserver_url": f"http://127.0.0.1:{ports['router client']}",
            "user_id": site.user_id(BRIDGE_ACCOUNT),
            "password_file": str(layout.secret("bridge-account-password")),
            "store_key_file": str(layout.secret("bridge-store-key")),
            "recovery_key_file": str(layout.state / "bridge/recovery-key"),
        },
        "policy_file": str(site.policy.policy_file),
        "authority_file": str(site.policy.authority_file),
        "directory_file": str(directory),
        "webhook_secret_files": [str(office.webhook_secret_file)],
        "eoffice": {
            "url": office.url,
            "command_secret_file": str(office.command_secret_file),
            "feed_token_file": str(office.feed_token_file),
            **({"ca_file": str(office.ca_file)} if office.ca_file else {}),
        },
    }
    share = _small(site)
    return Workload(
        name="bridge",
        says="Carries e-Office's events into encrypted rooms, and decisions back.",
        command=_rabta(layout, "bridge", "run", "--config", layout.config / "bridge.yaml"),
        files={"bridge.yaml": _yaml(document)},
        secrets=("bridge-database-password", "bridge-account-password", "bridge-store-key"),
        reads=tuple(
            str(file)
            for file in (
                site.policy.policy_file,
                site.policy.authority_file,
                *([office.directory_file] if office.directory_file else []),
                office.webhook_secret_file,
                office.command_secret_file,
                office.feed_token_file,
            )
        ),
        listens=(Listen("http", "127.0.0.1", ports["bridge"]),),
        state=("bridge", *([staff_part.SHARED] if kept else [])),
        after=("router", *([staff_part.NAME] if kept else [])),
        probe=Probe("http", ports["bridge"], path="/health/live", within_s=90),
        memory_mib=share.memory_mib,
        cpus=share.cpus,
        contacts=(Contact(_host_of(office.url), "e-Office"),),
    )


def _rabta(layout: Layout, *arguments: str | Path) -> tuple[str, ...]:
    return (layout.python, "-m", "rabta_deploy.cli", *(str(one) for one in arguments))


def _tls_files(face: Face) -> tuple[str, ...]:
    return str(face.certificate_file), str(face.key_file)


def _host_of(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2].partition(":")[0]


def _small(site: Site) -> Share:
    return SIZES[site.size].small


def _yaml(document: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)
