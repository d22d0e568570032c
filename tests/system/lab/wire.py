#!/usr/bin/env python3
"""A TLS relay that is honest or spoils the stream in one known way.

wire.py LISTEN UPSTREAM CERTIFICATE KEY MODE
  pass         changes nothing
  split        writes of 1 to 3 bytes
  eat          drops 1 byte in 20000 from the server
  lf           CRLF CRLF becomes LF LF in what the server sends
  high         clears the top bit of what the server sends
  dot          a line ".." of the client becomes "."
  lost250      the reply that accepts a message is swallowed and both sides
               are cut: the gap of RFC 1047
  lost250once  the first such reply only
  stall        the server falls silent after 2000 bytes
  cut          cut after 20000 bytes of the client
"""
import asyncio
import random
import ssl
import sys

listen, upstream = int(sys.argv[1]), int(sys.argv[2])
mode = sys.argv[5]
server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_tls.load_cert_chain(sys.argv[3], sys.argv[4])
client_tls = ssl.create_default_context()
client_tls.check_hostname = False
client_tls.verify_mode = ssl.CERT_NONE
lost = 0


class Cut(Exception):
    pass


def eat(data, seen):
    return bytes(b for i, b in enumerate(data, seen + 1) if i % 20000)


async def from_server(data, seen):
    global lost
    if mode == 'eat':
        return eat(data, seen)
    if mode == 'lf':
        return data.replace(b'\r\n\r\n', b'\n\n')
    if mode == 'high':
        return bytes(b & 127 for b in data)
    if mode == 'stall' and seen + len(data) > 2000:
        await asyncio.sleep(3600)
    if mode.startswith('lost250') and b'queued' in data:
        lost += 1
        if mode == 'lost250' or lost == 1:
            raise Cut
    return data


async def from_client(data, seen):
    if mode == 'cut' and seen + len(data) > 20000:
        raise Cut
    if mode == 'dot':
        return data.replace(b'\r\n..', b'\r\n.')
    return data


async def pump(reader, writer, other, change):
    seen = 0
    try:
        while data := await reader.read(65536):
            out = await change(data, seen)
            seen += len(data)
            while out:
                n = random.randint(1, 3) if mode == 'split' else len(out)
                writer.write(out[:n])
                await writer.drain()
                out = out[n:]
    except Cut:
        other.transport.abort()
        writer.transport.abort()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(reader, writer):
    try:
        up_reader, up_writer = await asyncio.open_connection(
            '127.0.0.1', upstream, ssl=client_tls)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, up_writer, writer, from_client),
                         pump(up_reader, writer, up_writer, from_server))


async def main():
    server = await asyncio.start_server(serve, '127.0.0.1', listen,
                                        ssl=server_tls)
    await server.serve_forever()

asyncio.run(main())
