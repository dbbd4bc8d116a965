// usage: node bench/peers/udp_node.js    a UDP echo server

const socket = require("dgram").createSocket("udp4");

socket.on("message", (data, from) => socket.send(data, from.port, from.address));
socket.bind(0, "127.0.0.1", () => console.log(`127.0.0.1:${socket.address().port}`));
