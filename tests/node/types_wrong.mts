// SPDX-License-Identifier: MIT
// Things that the types must refuse, one a line.
import { connect, Limiter } from 'tidegate'
import { rateLimit } from 'tidegate/express'

const gate = connect()
gate.limiter(5)
gate.limiter('1/s', { algorithm: 'magic' })
const wrong: number = (await gate.limiter('1/s').consume('k')).remaining
rateLimit({ limit: '1/s', key: 'x' })
rateLimit({ limit: '1/s', standardHeaders: 'draft-7' })
rateLimit({ limits: '1/s' })
await gate.limiter('1/s').consume('k', { costs: 5 })
await gate.limiter('1/s').consume(true)
new Limiter()
await gate.limiter('2 at once').slot('k', { lease: 5 })
await gate.limiter('1/s').reserve('k')
console.log(wrong)
