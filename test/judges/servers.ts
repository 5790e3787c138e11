/** Servers that serve a folder, or answer by rules: each with the configuration that its users would write, and a log of our own. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import express from 'express'
import { listen, freePort } from '../support/ports.ts'
import { tempDir } from '../support/temp.ts'
import { SECRET_TEXT, siteFolder, startServer, type Executed, type Judge } from './judge.ts'

const isRoot = userInfo().uid === 0

const write = (name: string, lines: readonly string[]): string => {
  const file = join(tempDir(), name)
  writeFileSync(file, `${lines.join('\n')}\n`)
  return file
}

const apache = async (): Promise<Judge> => {
  const [root, port] = [siteFolder(), await freePort()]
  const folder = dirname(root)
  const log = join(folder, 'access.log')
  const config = write('apache.conf', [
    `ServerRoot ${folder}`,
    'ServerName 127.0.0.1',
    `PidFile ${folder}/apache.pid`,
    `DefaultRuntimeDir ${folder}`,
    `Listen 127.0.0.1:${port}`,
    ...['mpm_event', 'authz_core', 'dir', 'negotiation', 'mime'].map(
      each => `LoadModule ${each}_module /usr/lib/apache2/modules/mod_${each}.so`,
    ),
    ...(isRoot ? ['User nobody', 'Group nogroup'] : []),
    'TypesConfig /dev/null',
    'StartServers 1',
    'KeepAliveTimeout 60',
    'MaxKeepAliveRequests 0',
    `ErrorLog ${folder}/error.log`,
    'LogFormat "%{X-Variant}i %>s %r" judge',
    `CustomLog ${log} judge`,
    `DocumentRoot ${root}`,
    'DirectoryIndex index.html',
    'AllowEncodedSlashes On',
    `<Directory ${root}>`,
    'Options +MultiViews',
    'Require all granted',
    '</Directory>',
  ])
  return startServer({ name: 'Apache', port, program: 'apache2', args: ['-D', 'FOREGROUND', '-f', config], log })
}

const nginx = async (): Promise<Judge> => {
  const [root, port] = [siteFolder(), await freePort()]
  const folder = dirname(root)
  const log = join(folder, 'access.log')
  const config = write('nginx.conf', [
    ...(isRoot ? ['user nobody nogroup;'] : []),
    'daemon off;',
    'worker_processes 1;',
    `pid ${folder}/nginx.pid;`,
    `error_log ${folder}/error.log;`,
    'events {}',
    'http {',
    "log_format judge escape=none '$http_x_variant $status $request';",
    `access_log ${log} judge;`,
    ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(each => `${each}_temp_path ${folder}/${each};`),
    'keepalive_requests 1000000;',
    `server { listen 127.0.0.1:${port}; root ${root}; }`,
    '}',
  ])
  return startServer({ name: 'nginx', port, program: 'nginx', args: ['-c', config], log })
}

const lighttpd = async (): Promise<Judge> => {
  const [root, port] = [siteFolder(), await freePort()]
  const log = join(dirname(root), 'access.log')
  const config = write('lighttpd.conf', [
    'server.modules = ("mod_accesslog")',
    'server.bind = "127.0.0.1"',
    `server.port = ${port}`,
    `server.document-root = "${root}"`,
    'index-file.names = ("index.html")',
    'server.max-keep-alive-requests = 1000000',
    // Each line at once: by default it is written when there is a page of them, or after four seconds.
    `accesslog.filename = "|cat >> ${log}"`,
    'accesslog.format = "%{X-Variant}i %s %r"',
  ])
  return startServer({ name: 'lighttpd', port, program: 'lighttpd', args: ['-D', '-f', config], log })
}

/** Rules for paths, after the path was brought into its normal form by haproxy itself. */
const haproxy = async (): Promise<Judge> => {
  const port = await freePort()
  const config = write('haproxy.cfg', [
    'global',
    '  log stdout format raw local0 info',
    '  expose-experimental-directives',
    'defaults',
    '  mode http',
    '  timeout client 60s',
    '  timeout server 60s',
    '  timeout connect 10s',
    'frontend all',
    `  bind 127.0.0.1:${port}`,
    '  log global',
    '  declare capture request len 40',
    '  http-request capture req.hdr(X-Variant) id 0',
    '  log-format "%[capture.req.hdr(0)] %ST %[var(txn.line)]"',
    '  http-request set-var-fmt(txn.line) "%[method] %[url] HTTP/%[req.ver]"',
    '  http-request normalize-uri percent-decode-unreserved',
    '  http-request normalize-uri path-strip-dot',
    '  http-request normalize-uri path-strip-dotdot full',
    '  http-request normalize-uri path-merge-slashes',
    // An answer before the end of a body ends the connection, and may be lost with it.
    '  http-request wait-for-body time 60s',
    '  acl secret path,url_dec -m reg ^/secret(/|;|$)',
    `  http-request return status 200 content-type text/plain string "${SECRET_TEXT}" if secret`,
    '  http-request return status 200 content-type text/plain string "public"',
  ])
  return startServer({ name: 'haproxy', port, program: 'haproxy', args: ['-f', config] })
}

/** A WSGI application that resolves what gunicorn has decoded, as one that serves files would. */
const APPLICATION = [
  'import posixpath',
  'def application(environ, start_response):',
  '    path = environ["PATH_INFO"]',
  '    length = 0',
  '    while True:',
  '        piece = environ["wsgi.input"].read(65536)',
  '        if not piece: break',
  '        length += len(piece)',
  '    place = posixpath.normpath("/" + path.replace("\\\\", "/").lstrip("/"))',
  `    text = "length %d." % length if place.endswith("/echo") else "${SECRET_TEXT}" if (place + "/").startswith("/secret/") else "public"`,
  // gunicorn sends what it gets, also in answer to HEAD: that would be the beginning of the next answer.
  '    body = b"" if environ["REQUEST_METHOD"] == "HEAD" else text.encode()',
  '    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])',
  '    return [body]',
]

const gunicorn = async (): Promise<Judge> => {
  const port = await freePort()
  const folder = dirname(write('judge.py', APPLICATION))
  const log = join(folder, 'access.log')
  const rest = ['--access-logfile', log, '--access-logformat', '%({x-variant}i)s %(s)s %(r)s', '--log-level', 'warning']
  const workers = ['-w', '1', '-k', 'gthread', '--threads', '4', '--keep-alive', '60']
  const args = ['-b', `127.0.0.1:${port}`, ...workers, ...rest, '--chdir', folder, 'judge:application']
  return startServer({ name: 'gunicorn', port, program: 'gunicorn', args, log, echoes: true })
}

/** In this process, with the defaults of Express: routes without case, strict or not. */
const expressJudge = async (): Promise<Judge> => {
  const executed: Executed[] = []
  const app = express()
  app.use('/secret', (_request, response) => void response.type('text').send(SECRET_TEXT))
  app.all('/:conversation/echo', (request, response) => {
    let length = 0
    if (request.get('x-interim') !== undefined) response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    request.on('data', (chunk: Buffer) => (length += chunk.length))
    request.on('end', () => void response.type('text').send(`length ${length}.`))
  })
  app.use(express.static(siteFolder(), { dotfiles: 'allow' }))
  const server = createServer((request, response) => {
    const id = String(request.headers['x-variant'] ?? '-')
    const line = `${request.method!} ${request.url!} HTTP/${request.httpVersion}`
    response.once('close', () => executed.push({ id, status: response.statusCode, line }))
    app(request, response)
  })
  server.keepAliveTimeout = 60_000
  return { name: 'Express', port: await listen(server), echoes: true, executed: () => executed }
}

const TOMCAT = '/usr/share/tomcat10'
/** Tomcat 10 of Debian (tomcat10-common, and a Java). */
export const hasTomcat = (): boolean => existsSync(`${TOMCAT}/bin/bootstrap.jar`)

const tomcat = async (): Promise<Judge> => {
  const [root, port] = [siteFolder(), await freePort()]
  const base = tempDir()
  for (const each of ['conf', 'logs', 'temp', 'work', 'webapps']) mkdirSync(join(base, each))
  writeFileSync(
    join(base, 'conf/web.xml'),
    `<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet><servlet-name>default</servlet-name><servlet-class>org.apache.catalina.servlets.DefaultServlet</servlet-class><load-on-startup>1</load-on-startup></servlet>
  <servlet-mapping><servlet-name>default</servlet-name><url-pattern>/</url-pattern></servlet-mapping>
  <welcome-file-list><welcome-file>index.html</welcome-file></welcome-file-list>
</web-app>`,
  )
  writeFileSync(
    join(base, 'conf/server.xml'),
    `<Server port="-1"><Service name="Catalina">
  <Connector port="${port}" address="127.0.0.1" protocol="HTTP/1.1" maxKeepAliveRequests="-1" keepAliveTimeout="60000" encodedSolidusHandling="decode"/>
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps" autoDeploy="false">
    <Context path="" docBase="${root}"/>
    <Valve className="org.apache.catalina.valves.AccessLogValve" directory="logs" prefix="access" suffix=".log" rotatable="false" buffered="false" pattern="%{X-Variant}i %s %r"/>
  </Host></Engine></Service></Server>`,
  )
  const settings = [`-Dcatalina.home=${TOMCAT}`, `-Dcatalina.base=${base}`, `-Djava.io.tmpdir=${base}/temp`]
  // A short life: no compiler that makes the code better after minutes.
  const jvm = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx128m']
  const classes = ['-cp', `${TOMCAT}/bin/bootstrap.jar:${TOMCAT}/bin/tomcat-juli.jar`, 'org.apache.catalina.startup.Bootstrap', 'start']
  return startServer({ name: 'Tomcat', port, program: 'java', args: [...jvm, ...settings, ...classes], log: join(base, 'logs/access.log') })
}

/** A server that can be started. */
export interface JudgeKind {
  readonly programs: readonly string[]
  readonly start: () => Promise<Judge>
  /** Not for each change: it brings a Java with it. */
  readonly isHeavy?: boolean
}

/** By name; each starts a server of its own. */
export const JUDGES: ReadonlyMap<string, JudgeKind> = new Map<string, JudgeKind>([
  ['Apache', { programs: ['apache2'], start: apache }],
  ['nginx', { programs: ['nginx'], start: nginx }],
  ['lighttpd', { programs: ['lighttpd'], start: lighttpd }],
  ['haproxy', { programs: ['haproxy'], start: haproxy }],
  ['gunicorn', { programs: ['gunicorn'], start: gunicorn }],
  ['Express', { programs: [], start: expressJudge }],
  ['Tomcat', { programs: ['java'], start: tomcat, isHeavy: true }],
])
