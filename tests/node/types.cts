// SPDX-License-Identifier: MIT
import tidegate = require('tidegate')
import { rateLimit } from 'tidegate/express'
import { FakeClock } from 'tidegate/testing'

const gate: tidegate.Gate = tidegate.connect({ clock: new FakeClock({ nowUs: 5 }), maxKeys: 10 })
const left: number | null = gate.limiter('1/s').peekSync('k').remaining
rateLimit({ limit: '5/minute', store: gate, exempt: ['/health'], trustedProxies: ['10.0.0.0/8'] })
console.log(left)
