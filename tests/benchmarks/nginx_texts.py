"""Templates of the nginx configurations for the upstream and the nginx contenders."""

from string import Template

# `$$` is a literal dollar for nginx; `$name` is replaced by the template.
_COMMON = """\
$load
worker_processes 1;
worker_rlimit_nofile 16384;
daemon off;
pid $home/nginx.pid;
events { worker_connections 8192; }
http {
    access_log off;
    error_log $home/nginx.log warn;
    client_body_temp_path $home/body;
    proxy_temp_path $home/proxy;
    fastcgi_temp_path $home/fastcgi;
    uwsgi_temp_path $home/uwsgi;
    scgi_temp_path $home/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_max_body_size 0;
    default_type application/json;
"""

# Debian's nginx has no variable for whole seconds, hence the map.
UPSTREAM = Template(
    _COMMON
    + """\
    map $$msec $$seconds { "~^(?<whole>[0-9]+)" $$whole; }
    ssl_certificate $home/cert.pem;
    ssl_certificate_key $home/key.pem;
    ssl_session_cache shared:bench:1m;
    server {
        listen 127.0.0.1:$plain_port backlog=4096;
        listen 127.0.0.1:$tls_port ssl backlog=4096;
        ssl_protocols TLSv1.2 TLSv1.3;
        include $home/routes.conf;
    }
    server {
        listen 127.0.0.1:$tls12_port ssl backlog=4096;
        ssl_protocols TLSv1.2;
        include $home/routes.conf;
    }
}
"""
)

# An upload is read completely into memory before the response, and is not forwarded.
ROUTES = Template("""\
location = /1.0/auth/time { return 200 $$seconds; }
location = /1.0/auth/currentCredential {
    return 200 '{"credentialId":1,"status":"validated","expiration":null,"rules":[]}';
}
location = /1.0/large { alias $home/large; }
location = /1.0/slowly_read { alias $home/slowly_read; }
location = /1.0/upload {
    client_body_buffer_size 256m;
    proxy_request_buffering on;
    proxy_pass_request_body off;
    proxy_set_header Content-Length "";
    proxy_pass http://127.0.0.1:$plain_port/1.0/me;
}
location / { return 200 '$answer'; }
""")

PROXY_PASS = Template(
    _COMMON
    + """\
    upstream api {
        server $authority;
        keepalive 512;
        keepalive_requests 1000000000;
        keepalive_timeout 3600s;
    }
    $top
    server {
        listen 127.0.0.1:$port backlog=4096;
        location / {
            $signer
            proxy_pass $scheme://api;
            proxy_http_version 1.1;
            proxy_max_temp_file_size 0;
            proxy_set_header Host $authority;
            proxy_set_header Connection "";
            proxy_ssl_trusted_certificate $ca_file;
            proxy_ssl_verify on;
            proxy_ssl_name localhost;
            proxy_ssl_session_reuse on;
        }
    }
}
"""
)

# The hexadecimal encoder is nginx's own, called as in lua-resty-string.
LUA_TOP = """\
init_by_lua_block {
        local ffi = require "ffi"
        ffi.cdef [[
            unsigned char *ngx_hex_dump(
                unsigned char *to, const unsigned char *from, size_t size);
        ]]
        local digits = ffi.new("unsigned char[40]")
        function hex(digest)
            ffi.C.ngx_hex_dump(digits, digest, 20)
            return ffi.string(digits, 40)
        end
    }"""

LUA_SIGNER = Template("""\
set $$ovh_timestamp "";
            set $$ovh_signature "";
            access_by_lua_block {
                ngx.req.read_body()
                local body = ngx.req.get_body_data()
                if not body then
                    local name = ngx.req.get_body_file()
                    if name then
                        local file = io.open(name, "rb")
                        body = file:read("*a")
                        file:close()
                    end
                end
                local timestamp = tostring(ngx.time())
                local text = table.concat({
                    "$secret", "$consumer_key", ngx.req.get_method(),
                    "$base" .. ngx.var.request_uri, body or "", timestamp
                }, "+")
                ngx.var.ovh_timestamp = timestamp
                ngx.var.ovh_signature = "$$1$$" .. hex(ngx.sha1_bin(text))
            }
            proxy_set_header X-Ovh-Application "$application_key";
            proxy_set_header X-Ovh-Consumer "$consumer_key";
            proxy_set_header X-Ovh-Timestamp $$ovh_timestamp;
            proxy_set_header X-Ovh-Signature $$ovh_signature;
""")

NJS_TOP = Template("""\
js_import signer from $home/signer.js;
    js_set $$ovh_timestamp signer.timestamp;
    js_set $$ovh_signature signer.signature;
    client_body_buffer_size 256m;""")

NJS_SIGNER = Template("""\
proxy_set_header X-Ovh-Application "$application_key";
            proxy_set_header X-Ovh-Consumer "$consumer_key";
            proxy_set_header X-Ovh-Timestamp $$ovh_timestamp;
            proxy_set_header X-Ovh-Signature $$ovh_signature;
""")

NJS_SCRIPT = Template("""\
import crypto from 'crypto';

function timestamp(r) {
    return Math.floor(Date.now() / 1000).toString();
}

function signature(r) {
    const hash = crypto.createHash('sha1');
    hash.update('$secret+$consumer_key+' + r.method + '+$base' + r.variables.request_uri + '+');
    const body = r.requestBuffer;
    if (body) {
        hash.update(body);
    }
    return '$$1$$' + hash.update('+' + r.variables.ovh_timestamp).digest('hex');
}

export default {timestamp, signature};
""")
