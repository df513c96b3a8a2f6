"""Configurations of the three proxies: the same timeouts, otherwise as a user would write them."""

from string import Template

STORE = """\
profiles:
  personal:
    endpoint: {url}
    application_key: MadeUpAppKey0000
    application_secret: {secret}
    consumer_key: {consumer_key}
"""
SETTINGS = """\
listen: ['127.0.0.1:0']
timeouts: {{header_s: {seconds}, body_s: {seconds}, idle_s: {seconds}}}
"""
NGINX = Template("""\
worker_processes 1;
daemon off;
pid $home/nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    error_log $home/nginx.log warn;
    client_body_temp_path $home/body;
    proxy_temp_path $home/proxy;
    fastcgi_temp_path $home/fastcgi;
    uwsgi_temp_path $home/uwsgi;
    scgi_temp_path $home/scgi;
    client_header_timeout ${seconds}s;
    client_body_timeout ${seconds}s;
    keepalive_timeout ${seconds}s;
    send_timeout ${seconds}s;
    client_max_body_size 32m;
    upstream api {
        server 127.0.0.1:$upstream;
        keepalive 32;
    }
    server {
        listen 127.0.0.1:$port;
        location / {
            proxy_pass http://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $$host:$$server_port;
        }
    }
}
""")
HAPROXY = Template("""\
global
    maxconn 4000
defaults
    mode http
    timeout connect 5s
    timeout server ${seconds}s
    timeout client ${seconds}s
    timeout http-request ${seconds}s
    timeout http-keep-alive ${seconds}s
frontend clients
    bind 127.0.0.1:$port
    default_backend api
backend api
    server upstream 127.0.0.1:$upstream
""")
